# SPDX-License-Identifier: Apache-2.0
"""
Values of arguments that a template may have rendered: one rule for all operators, sensors and the notifier.

A template turns a missing value into the text "None", or into nothing. Neither may become an SMS, a recipient or a
selection of messages. A rejected value fails the task at once, because a retry would render it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from airflow_provider_ip1.api.addresses import RECIPIENT
from airflow_provider_ip1.api.timestamps import read_time
from airflow_provider_ip1.api.wording import Log
from airflow_provider_ip1.compat import AirflowFailException
from airflow_provider_ip1.exceptions import IP1ParticipantError


class RejectedArgument(ValueError, AirflowFailException):
    """An argument of a task cannot be used. Airflow fails the task without retrying it."""


class RejectedParticipant(IP1ParticipantError, AirflowFailException):
    """A number or participant among the arguments of a task cannot be used. Airflow does not retry the task."""


class RetriedValueError(ValueError):
    """What an argument names cannot be used now, such as a bucket without access. A retry may find that mended."""


@contextmanager
def failing_at_once() -> Iterator[None]:
    """
    Let a ``ValueError`` about an argument fail the task without a retry, and without being skipped.

    Constructors need this as well, because those of mapped tasks run in each try.
    """
    try:
        yield
    except (AirflowFailException, RetriedValueError):
        raise
    except ValueError as error:
        kind = RejectedParticipant if isinstance(error, IP1ParticipantError) else RejectedArgument
        # One traceback, which leads to where the value was rejected.
        raise kind(str(error)).with_traceback(error.__traceback__) from None


def text_or_none(value: Any, argument: str, *, may_have_braces: Log | None = None) -> str | None:
    """
    Read the text of an optional argument.

    :param value: the rendered value. An integer becomes digits, because native rendering turns digits into integers.
    :param argument: name of the argument, for errors.
    :param may_have_braces: for an argument in which ``{{`` may be meant, where to warn about it. Elsewhere it is an
        error, because a template was not rendered.
    :return: the text; ``None`` if the value is ``None`` or blank, so that the argument takes its default.
    :raises RejectedArgument: the value is the text "None", or neither text nor an integer.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RejectedArgument(f"{argument} must be text, not a value of type {type(value).__name__}.")
    if value.strip() == "None":
        raise RejectedArgument(
            f'{argument} is the text "None", into which a template turns a value that is missing. Check the template. '
            "If the value may be missing, render a blank text instead, such as {{ value or '' }}."
        )
    if "{{" in value:
        if may_have_braces is None:
            raise RejectedArgument(
                f"{argument} contains {{{{, so it is a template that was not rendered. Airflow renders only the "
                "arguments that the reference calls templated, and does not render what a template returns."
            )
        may_have_braces.warning("%s contains {{ and is sent as it is. Was a template not rendered?", argument)
    return value if value.strip() else None


def required_text(value: Any, argument: str, *, may_have_braces: Log | None = None) -> str:
    """
    Read the text of a required argument. See :func:`text_or_none`.

    :raises RejectedArgument: as there, and for ``None`` and blank text.
    """
    text = text_or_none(value, argument, may_have_braces=may_have_braces)
    if text is None:
        raise RejectedArgument(f"{argument} is blank. If a template renders it, check that its value exists.")
    return text


def numbers_or_none(value: Any, argument: str, log: Log) -> Any:
    """
    Read the recipients of SMS.

    :param value: a number or several as text, a list of numbers, a mapping from number to placeholder to value, or a
        list of mappings with a number as ``recipient`` and the values of placeholders.
    :param argument: name of the argument, for errors.
    :param log: where to warn about a placeholder's value that may be a template.
    :return: the same, with every number and value as text; ``None`` for ``None``, blank text, and an empty list or
        mapping.
    :raises RejectedArgument: a number or value is ``None``, or see :func:`text_or_none`. The error says which one, by
        its position.
    """
    if isinstance(value, Mapping):
        read: dict[str, Any] = {}
        for position, (number, values) in enumerate(value.items(), 1):
            subject = f"{argument}: number {position}"
            if isinstance(number, str) and "{{" in number:
                raise RejectedArgument(
                    f"{subject} contains {{{{, because Airflow does not render the keys of a mapping. Pass a list of "
                    "mappings instead, such as [{'recipient': '{{ ... }}', 'name': '...'}]."
                )
            checked = _placeholder_values(values, subject, log)
            if read.setdefault(required_text(number, subject), checked) != checked:
                raise RejectedArgument(f"{subject} is there twice, with different values. Keep one of the entries.")
        return read or None
    if _is_list(value):
        # What mapped tasks returned is fetched item by item.
        value = list(value)
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        return [
            _recipient_with_values(one, f"{argument}: number {position}", log) for position, one in enumerate(value, 1)
        ]
    numbers = list_or_none(value, argument, "number")
    if isinstance(numbers, str):
        refuse_printed_list(numbers, argument)
    return numbers or None


def list_or_none(value: Any, argument: str, item: str) -> Any:
    """
    Read a list of texts, or what should be one.

    :param value: the items, none of them blank.
    :param argument: name of the argument, for errors.
    :param item: what an item is, for errors.
    :return: the list of texts; text, which no list of texts is, unless it is blank; ``None`` for blank text.
    :raises RejectedArgument: an item cannot be used, see :func:`required_text`. The error says which one.
    """
    if not _is_list(value):
        return text_or_none(value, argument)
    return [required_text(one, f"{argument}: {item} {position}") for position, one in enumerate(value, 1)]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _recipient_with_values(one: Any, subject: str, log: Log) -> Any:
    if not isinstance(one, Mapping):
        return required_text(one, subject)
    values = {name: value for name, value in one.items() if name != RECIPIENT}
    return {RECIPIENT: required_text(one.get(RECIPIENT), subject), **_placeholder_values(values, subject, log)}


def _placeholder_values(values: Any, subject: str, log: Log) -> Any:
    if not isinstance(values, Mapping):
        return values
    return {
        # A value may be empty: its placeholder then disappears.
        name: value if value == "" else text_or_none(value, f"{subject}: a value", may_have_braces=log)
        for name, value in values.items()
    }


def refuse_printed_list(text: str, argument: str) -> None:
    """
    Refuse a list or mapping that a template has printed as text.

    :param text: the value of an argument.
    :param argument: its name, for the error.
    :raises RejectedArgument: the text is one.
    """
    if text.lstrip().startswith(("[", "{", "('", '("')):
        raise RejectedArgument(
            f"{argument}: a template rendered a list as text. Render one of its items. Where a list is allowed, set "
            "render_template_as_native_obj=True on the DAG, or pass the list itself, such as the output of a task."
        )


def time_or_none(value: Any, argument: str) -> datetime | None:
    """
    Read an optional time.

    :param value: a datetime, or ISO 8601 text; UTC if it has no zone.
    :param argument: name of the argument, for errors.
    :return: the time in UTC; ``None`` if the value is ``None`` or blank text.
    :raises ValueError: the value is neither, or lies outside the years 1 to 9999; see also :func:`text_or_none`.
    """
    if isinstance(value, str):
        value = text_or_none(value, argument)
    return None if value is None else read_time(value, argument)
