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
    SmsType,
    check_batch,
    check_limit,
    check_limits,
    default_reference,
    random_reference,
)
from airflow_provider_ip1.compat import AirflowFailException, BaseOperator
from airflow_provider_ip1.exceptions import IP1SendUnknownError
from airflow_provider_ip1.template_values import (
    failing_at_once,
    list_or_none,
    numbers_or_none,
    required_text,
    text_or_none,
    windows_or_none,
)

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import Context
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

ON_UNKNOWN = ("fail", "retry")


class IP1SendUnknownFailure(IP1SendUnknownError, AirflowFailException):
    """It is unknown whether an SMS was sent, and the operator was told to leave that to a person."""


class SendSmsOperator(BaseOperator):
    """
    Sends an SMS to one or more recipients.

    iP.1 cannot recognize a repeated request, so the operator itself prevents a second SMS. After a failure that leaves
    the outcome open, and before every further try of the task, it looks for its ``reference`` in the newest batches of
    the account, for up to 30 seconds. If iP.1 lists the reference, the SMS was sent, and the operator does not send it
    again. A cleared task does not send again either, unless its ``reference`` is different.

    Success means that iP.1 accepted the SMS, not that it was delivered. To wait for the delivery, pass the returned
    ``batch_id`` to :class:`~airflow_provider_ip1.sensors.message_status.MessageStatusSensor`.

    Airflow stores rendered arguments, ``recipients`` and ``body`` among them, and shows them in its web interface.

    :param recipients: a phone number, several separated by commas, or a list of them: with country code, at most 15
        digits. The operator removes ``+``, ``00``, separators and duplicates. Or a mapping from each number to its
        placeholders and their values. Its key ``default`` holds the values for recipients that lack their own.
        (templated)
    :param body: the text, 1 to 2000 characters. If ``recipients`` is a mapping, ``{name}`` is a placeholder that iP.1
        fills in. (templated)
    :param sender: 3 to 11 letters (A-Z, a-z) and digits, or a number of at most 15 digits. Default: the extra
        ``sender`` of the connection. (templated)
    :param reference: a text that no other SMS of the account has, so that the operator can find the SMS by it.
        Default: ``af-`` and a hash of DAG id, run id, task id and map index. (templated)
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
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :return: ``batch_id``, ``reference``, ``recipients`` (their number), ``segments`` (the largest number of SMS per
        recipient) and ``reused`` (whether an earlier try had sent the SMS).
    :raises ValueError: an argument cannot be used; the message names the argument. Nothing was sent.
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
        if on_unknown not in ON_UNKNOWN:
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
        task_instance = context.get("ti")
        with failing_at_once():
            outgoing = self._check(task_instance)
        try_number = 1 if task_instance is None else task_instance.try_number
        if try_number > 1:
            self.log.info(
                "This is try %s of the task, so the operator looks for reference %r before it sends.",
                try_number,
                outgoing.reference_label,
            )
        with self.hook as hook:
            try:
                sent = hook.send_once(outgoing, look_first=try_number > 1)
            except IP1SendUnknownError as error:
                if self.on_unknown == "retry":
                    raise
                unknown = str(error)
            else:
                unknown = ""
        if unknown:
            raise IP1SendUnknownFailure(f"{unknown} Airflow does not retry the task, because on_unknown is 'fail'.")
        segments = outgoing.segments
        self.log.info(
            "%s batch %s with reference %r to %d recipient%s, at most %s SMS each.",
            "An earlier try has already sent" if sent.reused else "Sent",
            sent.batch.id,
            outgoing.reference_label,
            len(outgoing.recipients),
            "" if len(outgoing.recipients) == 1 else "s",
            segments,
        )
        return {
            "batch_id": sent.batch.id,
            "reference": outgoing.reference,
            "recipients": len(outgoing.recipients),
            "segments": segments,
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

    def _check(self, task_instance: Any) -> OutgoingBatch:
        required_text(self.ip1_conn_id, "ip1_conn_id")
        reference = text_or_none(self.reference, "reference")
        if reference is None and task_instance is not None:
            ti = task_instance
            reference = default_reference(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
        outgoing = check_batch(
            recipients=numbers_or_none(self.recipients, "recipients", self.log),
            body=required_text(self.body, "body", may_have_braces=self.log),
            sender=text_or_none(self.sender, "sender") or self.hook.settings.sender,
            reference=reference or random_reference(),
            type=self.type,
            datacoding=self.datacoding,
            priority=self.priority,
            delivery_windows=windows_or_none(self.delivery_windows, "delivery_windows"),
            delivery_report_url=self.delivery_report_url,
            tags=list_or_none(self.tags, "tags", "tag") or (),
        )
        check_limits(outgoing, max_recipients=self.max_recipients, max_segments=self.max_segments)
        return outgoing
