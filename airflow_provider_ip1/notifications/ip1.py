# SPDX-License-Identifier: Apache-2.0
"""The notifier that sends an SMS from a callback of a DAG or task."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_ip1.api.addresses import Recipients
from airflow_provider_ip1.api.phone import has_number, mask_number
from airflow_provider_ip1.api.segments import shorten_text
from airflow_provider_ip1.api.sending import MAX_BODY_LENGTH, OutgoingBatch, Priority, alert_reference, check_limit
from airflow_provider_ip1.compat import BaseNotifier
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.template_values import failing_at_once, numbers_or_none, required_text, text_or_none

if TYPE_CHECKING:
    from airflow_provider_ip1.api.sent_batch import SendResult
    from airflow_provider_ip1.api.settings import Settings
    from airflow_provider_ip1.client.base_client import BaseClient, Flow
    from airflow_provider_ip1.compat import Context


# A phone number as people write it into a text.
_NUMBER = re.compile(r"[+(]*[0-9](?:[0-9 ()/.\-]{5,}[0-9])")


class IP1Notifier(BaseNotifier):
    """
    Sends an SMS, for example as ``on_failure_callback``.

    Best give it to the DAG, which calls it once for each run that fails. A task calls it once for each of its mapped
    instances; ``limit`` then keeps a thousand failures from sending a thousand SMS.

    Keep the numbers in the extra ``recipients`` of the connection, not in the arguments: Airflow logs the arguments of
    a deadline's callback if it fails, and stores those of a DAG.

    A notification takes 15 seconds at most, because Airflow ends a DAG processor whose callbacks take longer than 50
    seconds together. After that time, it is unknown whether the SMS was sent, and the error says why.

    The notifier cuts a text that takes more SMS than ``max_segments``, and ends it with ``...``, or with ``…`` if the
    rest is not in the GSM alphabet. Secrets are masked as in Airflow's logs. If the text mentions ``exception``, and
    the exception contains phone numbers, all numbers are masked that are not written in ``body``.

    :param body: the text. (templated)
    :param recipients: phone numbers, see :class:`~airflow_provider_ip1.operators.send_sms.SendSmsOperator`. Default:
        the extra ``recipients`` of the connection. (templated)
    :param sender: name or number. Default: the extra ``sender`` of the connection. (templated)
    :param max_segments: the largest number of SMS per recipient, from 1. Default 3.
    :param priority: 1 (default), or 2 for faster delivery at a higher price.
    :param limit: ``"run"`` sends one SMS per DAG run, and another one after the run was cleared. A timedelta sends one
        per DAG in each period of that length; periods start at its multiples since 1970, in UTC. The notifier finds
        earlier SMS by their reference among the 1,000 newest batches of the account; a canceled one does not count.
        Until iP.1 lists the first SMS, other tasks may send a few more. If looking for it fails, the alert is sent.
        Notifiers with different ``body``, ``recipients`` or ``sender``, before rendering, do not limit each other.
        Default ``None``: each call sends.
    :param on_error: ``raise`` (default) raises an error. Airflow catches and logs it in the callbacks of DAGs and
        tasks, and Airflow 2.11 and 3.0 in every notifier. ``log`` only logs it. Use ``log`` for the ``notifiers`` of a
        human-in-the-loop operator, whose task would fail otherwise.
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :raises ValueError: an argument is out of range; the message names the argument.
    """

    template_fields: Sequence[str] = ("body", "recipients", "sender", "ip1_conn_id")

    #: Seconds that a notification may take.
    max_seconds: ClassVar[float] = 15.0

    def __init__(
        self,
        *,
        body: str,
        recipients: Recipients | None = None,
        sender: str | None = None,
        max_segments: int = 3,
        priority: Priority = 1,
        limit: Literal["run"] | timedelta | None = None,
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
        self.limit = limit
        self.on_error = on_error
        self.ip1_conn_id = ip1_conn_id
        if limit is not None and limit != "run" and not (isinstance(limit, timedelta) and limit > timedelta()):
            raise ValueError(f"limit must be 'run', a timedelta above 0, or None, not {limit!r}.")
        if on_error not in ("raise", "log"):
            raise ValueError(f"on_error must be 'raise' or 'log', not {on_error!r}.")
        # What is the same for all tasks that call this notifier. Rendering replaces the arguments of a copy.
        self._template = {"body": body, "recipients": recipients, "sender": sender}

    def notify(self, context: Context) -> None:
        """
        Send the SMS.

        :param context: tells the DAG and its run, for ``limit``; the arguments are rendered already.
        :raises IP1Error: the SMS was not sent, or it is unknown whether it was.
        :raises ValueError: an argument cannot be used; the message names the argument.
        """
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        deadline = time.monotonic() + self.max_seconds
        with self._handle_errors(), IP1Hook(self._connection()) as hook:
            client = hook.client
            self._log_result(client.run(self._send(client, context, deadline)))

    async def async_notify(self, context: Context) -> None:
        """
        Send the SMS from an event loop.

        :param context: see :meth:`notify`.
        :raises IP1Error: the SMS was not sent, or it is unknown whether it was.
        :raises ValueError: an argument cannot be used; the message names the argument.
        """
        from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook

        deadline = time.monotonic() + self.max_seconds
        with self._handle_errors():
            async with IP1AsyncHook(self._connection()) as hook:
                client = await hook.get_client()
                self._log_result(await client.run(self._send(client, context, deadline)))

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

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """
        Render the arguments. Before Airflow 3.3, its own method keeps a template that renders to a blank text.

        :param context: the values.
        :param jinja_env: the Jinja environment. Default: that of the DAG.
        """
        jinja_env = jinja_env or self.get_template_env(context.get("dag"))
        for name in self.template_fields:
            setattr(self, name, self.render_template(getattr(self, name), context, jinja_env))

    def get_template_env(self, dag: Any = None) -> Any:
        """
        Return the Jinja environment of a DAG.

        :param dag: the DAG. ``dag.test()`` of Airflow 3.3 passes a serialized one to callbacks, which has none.
        """
        return super().get_template_env(dag if hasattr(dag, "get_template_env") else None)

    def _connection(self) -> str:
        with failing_at_once():
            return required_text(self.ip1_conn_id, "ip1_conn_id")

    def _send(self, client: BaseClient, context: Context, deadline: float) -> Flow[SendResult | None]:
        # Not loaded with a DAG file, like the hooks.
        from airflow_provider_ip1.client.send_once import send_alert

        with failing_at_once():
            reference = self._reference(context, client.settings.deployment)
            outgoing = self._outgoing(context, client.settings, reference)
        return send_alert(client, outgoing, is_limited=reference is not None, deadline=deadline)

    def _outgoing(self, context: Context, settings: Settings, reference: str | None) -> OutgoingBatch:
        body = required_text(self.body, "body", may_have_braces=self.log)
        recipients = numbers_or_none(self.recipients, "recipients", self.log) or settings.recipients
        if not recipients:
            raise ValueError("recipients is missing. Set the extra 'recipients' of the connection.")
        return OutgoingBatch(
            recipients=_encodable(recipients),
            # Airflow's masker logs a text that it cannot encode.
            body=shorten_text(self._mask(_encodable(body), context), self.max_segments, MAX_BODY_LENGTH),
            sender=text_or_none(self.sender, "sender"),
            default_sender=settings.sender,
            priority=self.priority,
            reference=reference,
        )

    def _mask(self, body: str, context: Context) -> str:
        from airflow_provider_ip1.compat import redact

        template, error = str(self._template["body"]), context.get("exception")
        if error is not None and "exception" in template and has_number(_text_of(error)):
            parts = [body]
            if written := _NUMBER.findall(template):
                # Every second part is a number that stays.
                parts = re.split(f"({'|'.join(map(re.escape, written))})", body)
            parts[::2] = map(mask_number, parts[::2])
            body = "".join(parts)
        return str(redact(body))

    def _reference(self, context: Context, deployment: str | None) -> str | None:
        """Return what all tasks share whose alerts count as one; ``None`` if each alert is sent."""
        if self.limit is None:
            return None
        dag, run = context.get("dag"), context.get("dag_run")
        dag_id = getattr(dag, "dag_id", None) or _field(run, "dag_id")
        run_id = context.get("run_id") or _field(run, "run_id") or _field(run, "dag_run_id")
        if dag_id is None or (self.limit == "run" and run_id is None):
            self.log.warning("limit has no effect: Airflow called the notifier without a DAG or run. The SMS is sent.")
            return None
        period: tuple[Any, ...]
        if isinstance(self.limit, timedelta):
            seconds = self.limit.total_seconds()
            period = seconds, time.time() // seconds
        else:
            period = run_id, _field(run, "clear_number") or 0
        return alert_reference(deployment, dag_id, *period, self._template)

    def _log_result(self, sent: SendResult | None) -> None:
        if sent is None:
            self.log.info("iP.1 lists this notification already. It is not sent again, because of limit.")
        else:
            self.log.info("Sent the notification as batch %s.", sent.batch.id)

    @contextmanager
    def _handle_errors(self) -> Iterator[None]:
        if self.on_error == "raise":
            yield
            return
        try:
            yield
        except Exception as error:
            # This package's errors contain no text and no complete number. Errors of templates might.
            reason = str(error) if isinstance(error, IP1Error | ValueError) else type(error).__name__
            self.log.error("The SMS notification failed: %s", reason)


def _field(run: Any, name: str) -> Any:
    """Read a field of a DAG run, which deadlines describe by a dictionary."""
    return run.get(name) if isinstance(run, Mapping) else getattr(run, name, None)


def _text_of(error: Any) -> str:
    """Return the texts of an exception and of those that led to it."""
    texts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        texts += [str(error), str(getattr(error, "args", ""))]
        error = getattr(error, "__cause__", None) or getattr(error, "__context__", None)
    return "\n".join(texts)


def _encodable(value: Any) -> Any:
    """Replace lone UTF-16 surrogates by U+FFFD. The text of an error can have some, and UTF-8 cannot encode them."""
    if isinstance(value, Mapping):
        return {name: _encodable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


send_ip1_notification = IP1Notifier
