# SPDX-License-Identifier: Apache-2.0
"""The generated reference: every argument with its type, its default and its whole text."""

from __future__ import annotations

import inspect
import pkgutil
import re
from datetime import timedelta
from typing import Any, Literal

import pytest

from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS, Message
from airflow_provider_ip1.notifications.ip1 import IP1Notifier
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.conversation_to_wasb import ConversationToWasbOperator
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.transfers.messages_to_wasb import MessagesToWasbOperator
from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger
from dev import PROJECT
from dev.docs.reference import markdown, reference, split_docstring, type_text

CLASSES = [
    ConversationToS3Operator,
    MessagesToS3Operator,
    ConversationToWasbOperator,
    MessagesToWasbOperator,
    MessageStatusSensor,
    IncomingSmsSensor,
    SendSmsOperator,
    IP1Notifier,
    IncomingSmsTrigger,
    Message,
]
PAGES = sorted((PROJECT / "docs" / "reference").glob("*.md"))
PACKAGE = PROJECT / "airflow_provider_ip1"


def rows(section: str) -> dict[str, list[str]]:
    """The rows of a section's first table: the name in the first column -> the other columns."""
    first = re.search(r"(?:^\|.*\n)+", section, re.M)
    assert first
    cells = [re.split(r"(?<!\\)\|", line.strip("|\n"))[:] for line in first[0].splitlines()[2:]]
    return {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in cells}


def section_of(name: str) -> str:
    (found,) = (
        section
        for page in PAGES
        for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.M)
        if section.startswith(f"{name}\n")
    )
    return found


@pytest.mark.parametrize("documented", CLASSES, ids=lambda documented: documented.__name__)
def test_the_table_has_every_argument(documented: type) -> None:
    table = rows(section_of(documented.__name__))
    arguments = [
        name
        for name, parameter in inspect.signature(documented).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    assert list(table) == arguments
    for name, cells in table.items():
        assert cells[0], f"{name} has no type"
        # A text that was cut off ends in the middle of a sentence.
        assert re.search(r"(\.|\((?:templated\b[^()]*|default)\))$", cells[-1]), f"{name}: {cells[-1]}"


def test_the_fields_of_a_message_are_those_of_ip1() -> None:
    in_snake_case = {re.sub(r"(?=[A-Z])", "_", field).lower() for field in DOCUMENTED_FIELDS}
    assert in_snake_case | {"raw_json"} == set(rows(section_of("Message")))


def test_no_object_without_a_name_reaches_a_page() -> None:
    for page in PAGES:
        assert re.findall(r" at 0x|<class |ForwardRef|~\w+T\b|:(?:class|meth|attr|mod|func):", page.read_text()) == []


def test_the_index_lists_every_heading() -> None:
    index = (PROJECT / "docs" / "reference" / "index.md").read_text()
    missing = [name for documented in CLASSES if f"[`{(name := documented.__name__)}`]" not in index]
    assert missing == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_references_in_docstrings_lead_somewhere(path: Any) -> None:
    targets = re.findall(
        r":(?:class|meth|attr|mod|func|data|exc):`(?:[^`<]+<|~)?(airflow_provider_ip1[\w.]*)>?`", path.read_text()
    )
    for target in targets:
        try:
            pkgutil.resolve_name(target)
        except AttributeError:
            # A field of a class without a default is no attribute of it.
            owner, _, name = target.rpartition(".")
            assert name in inspect.getdoc(pkgutil.resolve_name(owner)), target  # type: ignore[operator]


def sample(number: int, *, name: str | None = None, kind: Literal["a", "b"] = "a") -> None:
    """
    Does it.

    :param number: the first line
        and :class:`~airflow_provider_ip1.api.messages.Message`.
    :param name: who (templated)
    :param kind: which.
    :return: nothing
        at all.
    :raises ValueError: it cannot.

    More text.
    """


def test_a_docstring_becomes_text_and_fields() -> None:
    text, fields = split_docstring(sample)
    assert text == "Does it.\n\nMore text."
    assert [(kind, name) for kind, name, _ in fields] == [
        ("param", "number"),
        ("param", "name"),
        ("param", "kind"),
        ("return", ""),
        ("raises", "ValueError"),
    ]
    assert fields[3][2] == "nothing at all."
    assert markdown(fields[0][2]) == "the first line and [`Message`](messages.md#message)."


def test_types_are_written_as_in_python() -> None:
    assert type_text("str | None", {}) == "str | None"
    assert type_text("Literal['a', 1]", {"Literal": Literal}) == "'a' | 1"
    assert type_text("timedelta | Unknown", {"timedelta": timedelta}) == "timedelta | Unknown"
    assert type_text("Any", {"Any": Any}) == ""


def test_a_class_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError):
        reference("api.messages.Nothing")
