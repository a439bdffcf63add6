# SPDX-License-Identifier: Apache-2.0
"""The operator that sends an SMS once, however often the task is tried, or reports that the outcome is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ip1.api.addresses import Recipients
from airflow_provider_ip1.api.sending import (
    Datacoding,
    DeliveryWindows,
    OutgoingBatch,
    Priority,
    SmsArguments,
    SmsType,
    check_limit,
)
from airflow_provider_ip1.api.sent_batch import SendResult
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.compat import AirflowFailException, BaseOperator
from airflow_provider_ip1.exceptions import IP1Error, IP1ReferenceError, IP1RefusedError, IP1SendUnknownError
from airflow_provider_ip1.template_values import (
    failing_at_once,
    list_or_none,
    numbers_or_none,
    required_text,
    text_or_none,
)

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import Context
    from airflow_provider_ip1.hooks.ip1 import IP1Hook


class IP1SendUnknownFailure(IP1SendUnknownError, AirflowFailException):
    """It is unknown whether an SMS was sent, and a person has to find out."""


class IP1ReferenceFailure(IP1ReferenceError, AirflowFailException):
    """Another SMS has the reference, which a retry would not change."""


class IP1RefusedFailure(IP1RefusedError, AirflowFailException):
    """iP.1 refused the SMS, which a retry would not change."""


class SendSmsOperator(BaseOperator):
    """
    Sends an SMS to one or more recipients.

    iP.1 cannot recognize a repeated request, so the operator itself prevents a second SMS. After a failure that leaves
    the outcome open, and before every further try of the task, it looks for its ``reference`` in the newest batches of
    the account, for up to 30 seconds, or a minute if iP.1 responds slowly. If iP.1 lists it, for a batch that was not
    canceled and has the same sender, the SMS was sent, and the operator does not send it again. A cleared task does not
    send again either, unless its ``reference`` is different. On Airflow 3.3, the state store of the task saves most of
    these searches.

    .. warning:: Each run of a DAG sends its SMS, so a backfill of 30 days sends 30.

    Success means that iP.1 accepted the SMS, not that it was delivered. To wait for the delivery, pass the returned
    ``batch_id`` to :class:`~airflow_provider_ip1.sensors.message_status.MessageStatusSensor`.

    Airflow stores rendered arguments, ``recipients`` and ``body`` among them, and shows them in its web interface.

    :param recipients: a phone number, several separated by commas, or a list of them: with country code, at most 15
        digits. The operator removes ``+``, ``00``, separators and duplicates. Or a mapping from each number to its
        placeholders and their values; its key ``default`` holds the values for recipients that lack their own. Airflow
        does not render the keys of a mapping, so for numbers from a template, pass a list of mappings such as
        ``[{"recipient": "{{ ... }}", "name": "..."}]``. (templated)
    :param body: the text, 1 to 2000 characters. If ``recipients`` is a mapping, ``{name}`` is a placeholder that iP.1
        fills in. (templated)
    :param sender: 3 to 11 letters (A-Z, a-z) and digits, or a number of at most 15 digits. Default: the extra
        ``sender`` of the connection. (templated)
    :param reference: a text that no other SMS of the account has, so that the operator can find the SMS by it, best
        of at most 32 characters. If a batch with it has other recipients, or in a mapped task another text, the task
        fails. Default: ``af-``, a hash of the extra ``deployment`` of the connection, DAG id, run id and task id, and a
        hash of the recipients, 32 characters in all. (templated)
    :param type: ``sms`` (default), or ``flash`` for a text that the phone shows at once and does not store.
    :param datacoding: ``ucs`` (default), or ``gsm`` to make iP.1 refuse a text that needs more than the GSM alphabet.
    :param priority: 1 (default), or 2 for faster delivery at a higher price.
    :param delivery_windows: when to deliver: a list of mappings with ``opens`` and, optionally, ``closes``, as
        datetimes or ISO 8601 texts, in UTC if they have no zone. Default: at once. (templated)
    :param delivery_report_url: http or https URL that iP.1 posts delivery reports to.
    :param tags: labels of the batch. (templated)
    :param max_recipients: fail before sending to more recipients than this, from 1. Default 100.
    :param max_segments: fail before sending a text that takes more SMS than this per recipient, from 1. Default 3.
    :param on_unknown: what to do if it remains unknown whether the SMS was sent: ``fail`` (default) fails the task
        without further tries; ``retry`` lets Airflow try again, which sends unless iP.1 lists the reference by then.
        After a 2xx, the task always fails.
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :return: ``batch_id``, ``reference`` (``None`` if it may contain a phone number), ``recipients`` (their number),
        ``segments`` (the largest number of SMS per recipient) and ``reused`` (whether an earlier try had sent the SMS).
    :raises ValueError: an argument cannot be used; the message names the argument. Nothing was sent. The error is also
        an ``AirflowFailException``, like the next one.
    :raises IP1ReferenceError: another batch has the reference. Nothing was sent.
    :raises IP1RefusedError: iP.1 refused the SMS (400, 422). The error lists the registered senders. It is also an
        ``AirflowFailException``, like the one before.
    :raises IP1SendUnknownError: it is unknown whether the SMS was sent. With ``on_unknown="fail"`` the error is also an
        ``AirflowFailException``.
    :raises IP1Error: iP.1 did not accept the SMS.
    """

    template_fields: Sequence[str] = (
        "recipients",
        "body",
        "sender",
        "reference",
        "delivery_windows",
        "tags",
        "ip1_conn_id",
    )

    @failing_at_once()
    def __init__(
        self,
        *,
        recipients: Recipients,
        body: str,
        sender: str | None = None,
        reference: str | None = None,
        type: SmsType = "sms",
        datacoding: Datacoding = "ucs",
        priority: Priority = 1,
        delivery_windows: DeliveryWindows | None = None,
        delivery_report_url: str | None = None,
        tags: Sequence[str] = (),
        max_recipients: int = 100,
        max_segments: int = 3,
        on_unknown: Literal["fail", "retry"] = "fail",
        ip1_conn_id: str = "ip1_default",
        **base_operator: Any,
    ) -> None:
        super().__init__(**base_operator)
        self.recipients = recipients
        self.body = body
        self.sender = sender
        self.reference = reference
        self.type = type
        self.datacoding = datacoding
        self.priority = priority
        self.delivery_windows = delivery_windows
        self.delivery_report_url = delivery_report_url
        self.tags = tags
        self.max_recipients = max_recipients
        self.max_segments = max_segments
        self.on_unknown = on_unknown
        self.ip1_conn_id = ip1_conn_id
        # These arguments are not templated, so a mistake shows when the DAG is parsed. execute() checks the others.
        check_limit(max_recipients, "max_recipients")
        check_limit(max_segments, "max_segments")
        if on_unknown not in ("fail", "retry"):
            raise ValueError(f"on_unknown must be 'fail' or 'retry', not {on_unknown!r}.")

    @cached_property
    def hook(self) -> IP1Hook:
        """The hook that sends."""
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        return IP1Hook(self.ip1_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send the SMS, unless an earlier try has sent it.

        :param context: context of the task's run. Without a task instance in it, the default reference is random, and
            each call sends.
        """
        ti: Any = context.get("ti")
        with failing_at_once():
            outgoing = self._check(ti)
        is_mapped = ti is not None and ti.map_index >= 0
        run = context.get("dag_run")
        # If the run was cleared, a mapped task may have new instances, and others may have sent their SMS.
        clear_number = getattr(run, "clear_number", None) or 0
        if getattr(run, "run_type", None) == "backfill":
            self.log.warning("This run belongs to a backfill. Each of its runs sends this SMS.")
        marker = None
        if (store := context.get("task_state_store")) is not None:
            marker = Marker(store, outgoing, clear_number=clear_number, is_mapped=is_mapped, log=self.log)
        failure: IP1Error
        with self.hook as hook:
            try:
                sent = hook.send_once(
                    outgoing,
                    check_sent=ti is not None and (ti.try_number > 1 or clear_number > 0),
                    is_mapped=is_mapped,
                    marker=marker,
                )
                return self._result(outgoing, sent)
            except IP1ReferenceError as error:
                failure = IP1ReferenceFailure(str(error))
            except IP1RefusedError as error:
                failure = IP1RefusedFailure(str(error))
            except IP1SendUnknownError as error:
                if self.on_unknown == "retry" and not error.was_accepted:
                    raise
                reason = "the server accepted the request" if error.was_accepted else "on_unknown is 'fail'"
                failure = IP1SendUnknownFailure(f"{error} Airflow does not retry the task, because {reason}.")
        raise failure

    def _result(self, outgoing: OutgoingBatch, sent: SendResult) -> dict[str, Any]:
        self.log.info(
            "%s batch %s with reference %r to %d recipient%s, at most %s SMS each.",
            "An earlier try has already sent" if sent.reused else "Sent",
            sent.batch.id,
            outgoing.reference_label,
            sent.recipients,
            "" if sent.recipients == 1 else "s",
            sent.segments,
        )
        return {
            "batch_id": sent.batch.id,
            # A masked reference would be another one.
            "reference": outgoing.reference if outgoing.reference_label == outgoing.reference else None,
            "recipients": sent.recipients,
            "segments": sent.segments,
            "reused": sent.reused,
        }

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """
        Return the lineage of the SMS. The OpenLineage provider calls this if it is installed.

        The dataset stands for all of iP.1's conversations, like the input of an export: its name must not contain a
        number.

        :param task_instance: not used.
        :return: an ``OperatorLineage``.
        """
        from airflow_provider_ip1.compat import OperatorLineage
        from airflow_provider_ip1.transfers.lineage import ip1_dataset

        return OperatorLineage(outputs=[ip1_dataset(self.hook.settings.base_url, "v2/conversations")])

    def _check(self, ti: Any) -> OutgoingBatch:
        self.ip1_conn_id = required_text(self.ip1_conn_id, "ip1_conn_id")
        settings = self.hook.settings
        arguments: dict[str, Any] = {name: getattr(self, name) for name in SmsArguments.__annotations__}
        arguments |= {
            "recipients": numbers_or_none(self.recipients, "recipients", self.log),
            "body": required_text(self.body, "body", may_have_braces=self.log),
            "sender": text_or_none(self.sender, "sender"),
            "reference": text_or_none(self.reference, "reference"),
            "delivery_windows": self.delivery_windows or None,
            "delivery_report_url": text_or_none(self.delivery_report_url, "delivery_report_url"),
            "tags": list_or_none(self.tags, "tags", "tag") or (),
        }
        # Without a task, the reference is random.
        identity = () if ti is None else (settings.deployment, ti.dag_id, ti.run_id, ti.task_id)
        outgoing = OutgoingBatch(**arguments, default_sender=settings.sender, identity=identity)
        outgoing.check_limits(max_recipients=self.max_recipients, max_segments=self.max_segments)
        return outgoing
