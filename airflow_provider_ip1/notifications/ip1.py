# SPDX-License-Identifier: Apache-2.0
"""The notifier that sends an SMS from a callback of a DAG or task."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ip1.api.addresses import Recipients
from airflow_provider_ip1.api.segments import shorten_text
from airflow_provider_ip1.api.sending import MAX_BODY_LENGTH, Priority, check_limit
from airflow_provider_ip1.compat import BaseNotifier
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.template_values import numbers_or_none, required_text, text_or_none

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import Context


class IP1Notifier(BaseNotifier):
    """
    Sends an SMS, for example as ``on_failure_callback``.

    Keep the numbers in the extra ``recipients`` of the connection, not in the arguments: Airflow logs the arguments of
    a deadline's callback if it fails, and stores those of a DAG.

    The notifier cuts a text that takes more SMS than ``max_segments``, and ends it with ``…``. The GSM alphabet lacks
    that character, so a text that was cut has room for 70 characters in one SMS, 134 in two and 201 in three.

    :param body: the text. (templated)
    :param recipients: phone numbers, see :class:`~airflow_provider_ip1.operators.send_sms.SendSmsOperator`. Default:
        the extra ``recipients`` of the connection. (templated)
    :param sender: name or number. Default: the extra ``sender`` of the connection. (templated)
    :param max_segments: the largest number of SMS per recipient, from 1. Default 3.
    :param priority: 1 (default), or 2 for faster delivery at a higher price.
    :param on_error: ``raise`` (default) raises an error. Airflow catches and logs it in the callbacks of DAGs and
        tasks. ``log`` only logs it. Use ``log`` for the ``notifiers`` of a human-in-the-loop operator, whose task would
        fail otherwise.
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :raises ValueError: an argument is out of range; the message names the argument.
    """

    template_fields: Sequence[str] = ("body", "recipients", "sender", "ip1_conn_id")

    def __init__(
        self,
        *,
        body: str,
        recipients: Recipients | None = None,
        sender: str | None = None,
        max_segments: int = 3,
        priority: Priority = 1,
        on_error: Literal["raise", "log"] = "raise",
        ip1_conn_id: str = "ip1_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.body = body
        self.recipients = recipients
        self.sender = sender
        self.max_segments = check_limit(max_segments, "max_segments")
        self.priority = priority
        self.on_error = on_error
        self.ip1_conn_id = ip1_conn_id
        if on_error not in ("raise", "log"):
            raise ValueError(f"on_error must be 'raise' or 'log', not {on_error!r}.")

    def notify(self, context: Context) -> None:
        """
        Send the SMS.

        :param context: not used; the arguments are rendered already.
        :raises IP1Error: the SMS was not sent, or it is unknown whether it was.
        :raises ValueError: an argument cannot be used; the message names the argument.
        """
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        with self._handle_errors(), IP1Hook(required_text(self.ip1_conn_id, "ip1_conn_id")) as hook:
            settings = hook.settings
            batch = hook.send_batch(**self._arguments(settings.recipients))
            self._log_success(batch.id)

    async def async_notify(self, context: Context) -> None:
        """
        Send the SMS from an event loop.

        :param context: not used; the arguments are rendered already.
        :raises IP1Error: the SMS was not sent, or it is unknown whether it was.
        :raises ValueError: an argument cannot be used; the message names the argument.
        """
        from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook

        with self._handle_errors():
            async with IP1AsyncHook(required_text(self.ip1_conn_id, "ip1_conn_id")) as hook:
                settings = await hook.get_settings()
                batch = await hook.send_batch(**self._arguments(settings.recipients))
                self._log_success(batch.id)

    def __call__(self, *args: Any) -> None:
        """
        Render the arguments and send the SMS.

        Rendering replaces the arguments with texts for one context, but Airflow may call a notifier again in the same
        process. So each call renders a copy.

        :param args: the context.
        """
        with self._handle_errors():
            super(IP1Notifier, copy.copy(self)).__call__(*args)

    def __await__(self) -> Generator[Any, None, None]:
        with self._handle_errors():
            yield from super(IP1Notifier, copy.copy(self)).__await__()

    def _arguments(self, default_recipients: Sequence[str]) -> dict[str, Any]:
        body = _encodable(required_text(self.body, "body", may_have_braces=self.log))
        recipients = _encodable(numbers_or_none(self.recipients, "recipients", self.log)) or default_recipients
        if not recipients:
            raise ValueError("recipients is missing. Set the extra 'recipients' of the connection.")
        return {
            "recipients": recipients,
            "body": shorten_text(body, self.max_segments, MAX_BODY_LENGTH),
            "sender": text_or_none(self.sender, "sender"),
            "priority": self.priority,
        }

    def _log_success(self, batch_id: str) -> None:
        self.log.info("Sent the notification as batch %s.", batch_id)

    @contextmanager
    def _handle_errors(self) -> Iterator[None]:
        if self.on_error == "raise":
            yield
            return
        try:
            yield
        except Exception as error:
            # The errors of this package contain no text and no complete number. Those of templates might.
            reason = str(error) if isinstance(error, IP1Error | ValueError) else type(error).__name__
            self.log.error("The SMS notification failed: %s", reason)


def _encodable(value: Any) -> Any:
    """Put U+FFFD in the place of half characters, which the text of an error can have. UTF-8 cannot encode them."""
    if isinstance(value, Mapping):
        return {name: _encodable(item) for name, item in value.items()}
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


send_ip1_notification = IP1Notifier
