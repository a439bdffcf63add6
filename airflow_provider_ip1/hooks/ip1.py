# SPDX-License-Identifier: Apache-2.0
"""
The hook on requests: resolves the Airflow connection and delegates to the client.

Paging, retries and errors are decided under :mod:`airflow_provider_ip1.api`; :mod:`airflow_provider_ip1.client` sends
and waits. ``IP1AsyncHook``, on aiohttp, can be imported from here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack

from airflow_provider_ip1.api.account import BlacklistEntry, RegisteredSender
from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.messages import ConversationSummary, Message
from airflow_provider_ip1.api.paging.listing import Lists, account_messages, conversation_lists
from airflow_provider_ip1.api.requests import Order, ReadOptions
from airflow_provider_ip1.api.sending import OutgoingBatch, SmsArguments
from airflow_provider_ip1.api.sent_batch import SendResult
from airflow_provider_ip1.api.settings import Settings, check_argument
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.client.send_once import send_once
from airflow_provider_ip1.client.senders import check_connection
from airflow_provider_ip1.compat import AirflowNotFoundException, mask_secret
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.get_provider_info import get_provider_info
from airflow_provider_ip1.hooks import base
from airflow_provider_ip1.hooks.base import BaseIP1Hook, T, user_agent
from airflow_provider_ip1.hooks.ip1_async import IP1AsyncHook

if TYPE_CHECKING:
    import requests

    from airflow_provider_ip1.client.sync_client import SyncClient, SyncPages

__all__ = ["IP1AsyncHook", "IP1Hook"]


class IP1Hook(BaseIP1Hook["SyncClient"]):
    """
    Sends SMS, and reads conversations, batches and messages from iP.1 (https://www.ip1sms.com/en/developer/).

    The hook pages, retries and keeps to the request rate. A conversation may change while the hook reads it. The hook
    returns every message that exists throughout exactly once and in order, or raises an
    :class:`~airflow_provider_ip1.exceptions.IP1Error`.

    The arguments override the connection's extras of the same name, and these override the defaults. The hook looks up
    the connection and opens its session at the first call. Several threads may share a hook. Close it, or use it as
    ``with IP1Hook() as hook``.

    :param ip1_conn_id: Airflow connection with the API key in *password* and the base URL in *host*.
    :param timeout: seconds above 0 to wait for the server, or (connect, read). Default (10, 60).
    :param page_size: messages per request, 1 to 10000. iP.1 does not document its maximum. If iP.1 returns fewer
        messages, the hook continues after the last one. Default: 200 for the first page of a list, then up to 1000 if
        iP.1 returns as many.
    :param concurrency: maximum number of requests in flight, 1 to 64. Default 4.
    :param max_attempts: maximum number of attempts per request, 1 to 20. Default 5.
    :param requests_per_second: maximum rate of this process with this key, 0 for no limit. Default 20.
    :raises ValueError: an argument is out of range; the message names the argument.
    """

    # Airflow 2 ignores these two methods if the class inherits them.
    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the connection form on Airflow 2; Airflow 3 reads the provider's metadata."""
        behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the extra fields of the connection form on Airflow 2; Airflow 3 reads the provider's metadata."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import BooleanField, IntegerField, PasswordField, StringField
        from wtforms.validators import Optional

        widgets: dict[str, Any] = {}
        for name, declared in get_provider_info()["connection-types"][0]["conn-fields"].items():
            schema = declared["schema"]
            first_type = schema["type"][0]
            label, described = declared["label"], {"description": declared["description"]}
            if schema.get("format") == "password":
                widgets[name] = PasswordField(label, widget=BS3PasswordFieldWidget(), **described)
            elif first_type == "boolean":
                widgets[name] = BooleanField(label, default=bool(schema.get("default")), **described)
            else:
                # Airflow 2 rejects the whole hook if a field has another class than these four, such as FloatField.
                kind = IntegerField if first_type == "integer" else StringField
                widgets[name] = kind(label, widget=BS3TextFieldWidget(), validators=[Optional()], **described)
        return widgets

    @cached_property
    def settings(self) -> Settings:
        """
        The settings: the arguments of the hook, then the extras of the connection, then the defaults.

        :raises IP1ConnectionError: the connection does not exist or cannot be used; the message names the field.
        """
        try:
            connection = self.get_connection(self.ip1_conn_id)
        except AirflowNotFoundException:
            connection = None
        settings = self._read_settings(connection, connection.extra_dejson if connection else {})
        if settings.redact_key:
            # Airflow masks extras by their names and does not know this one. IP1AsyncHook never uses it.
            mask_secret(settings.redact_key)
        return settings

    @property
    def client(self) -> SyncClient:
        """The client that sends this hook's requests."""
        from airflow_provider_ip1.client.sync_client import SyncClient

        with self._creating:
            if self._client is None:
                self._client = SyncClient(self.settings, user_agent=user_agent(), log=self.log)
            return self._client

    def get_conn(self) -> requests.Session:
        """
        Return the session that sends all requests of this hook, with the key and the proxy of the connection.

        :raises IP1ConnectionError: the connection cannot be used.
        """
        return self.client.session

    def close(self) -> None:
        """Close the session and its connections. The hook opens a new one when it is used again."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def iter_messages(self, participant: str, **options: Unpack[ReadOptions]) -> Iterator[Message]:
        """
        Iterate over all messages to and from a participant. A conversation without messages (404) is empty.

        :param participant: phone number with country code, or sender name.
        :param direction: ``"mt"`` for messages that you sent, ``"mo"`` for messages that you received, ``None``
            (default) for both.
        :param order: by creation, ``"ASC"`` (default, oldest first) or ``"DESC"``.
        :param page_size: messages per request, 1 to 10000; default: the hook's.
        :param concurrency: maximum number of requests in flight, 1 to 64; default: the hook's.
        :return: an iterator. Close it to stop reading ahead before its end.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; the message names the argument.
        """
        return self.iter_pages(participant, **options).rows(base.messages_of)

    def iter_pages(self, participant: str, **options: Unpack[ReadOptions]) -> SyncPages:
        """
        Iterate over the pages of a conversation, with each message's JSON as iP.1 sent it.

        The arguments and errors are those of :meth:`iter_messages`.

        :return: an iterator of pages with at least one message each.
        """
        return self.iter_pages_of([participant], **options)

    def iter_pages_of(self, participants: Iterable[str], **options: Unpack[ReadOptions]) -> SyncPages:
        """
        Iterate over the pages of several conversations, one after the other.

        The hook requests the next conversations before it has returned all pages of the current one.

        :param participants: phone numbers with country code, or sender names.
        :param direction: see :meth:`iter_messages`, like the other arguments.
        :return: an iterator of pages. :attr:`Page.participant` is the participant of the page's conversation.
            ``skip_rest()`` skips the rest of the conversation that the last page came from.
        """
        return self._pages(conversation_lists, participants, **options)

    def iter_batch_messages(
        self, batch_id: str, *, order: Order = "ASC", page_size: int | None = None
    ) -> Iterator[Message]:
        """
        Iterate over the messages of a batch, each with its latest status only (iP.1's page on reading SMS).

        :param batch_id: id of the batch.
        :param order: by creation, ``"ASC"`` (default) or ``"DESC"``.
        :param page_size: messages per request, 1 to 10000; default: the hook's.
        :return: an iterator; empty for a batch that iP.1 does not know or that has no messages yet (404).
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; the message names the argument.
        """
        return self._rows(base.batch_messages(batch_id, order, page_size))

    def iter_batch_pages(self, **options: Unpack[ReadOptions]) -> SyncPages:
        """
        Iterate over the pages of messages of every batch of the account, one batch after the other.

        The hook requests the list of batches and the messages of many batches together, ``concurrency`` requests at a
        time. A batch with one message takes one request. Memory does not grow with the number of batches.

        :param direction: ``"mt"`` or ``"mo"`` to leave out batches of the other direction; ``None`` (default) for all.
            A batch of unknown direction is never left out; see ``Message.direction``.
        :param order: of the batches by creation, ``"ASC"`` (default, oldest first) or ``"DESC"``. The messages of a
            batch are always read oldest first.
        :param page_size: messages per request, 1 to 10000; default: the hook's.
        :param concurrency: maximum number of requests in flight, 1 to 64; default: the hook's.
        :return: an iterator of pages with at least one message each. :attr:`Page.batch` is the batch. ``skip_rest()``
            skips the rest of the batch that the last page came from. ``lists_read`` counts the batches read so far.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; the message names the argument.
        """
        return self._pages(account_messages, **options)

    def iter_participants(self, *, since: datetime | str | None = None) -> Iterator[str]:
        """
        Iterate over the participants of the account: the recipients of sent messages, the senders of received ones.

        iP.1 has no list of participants, so the hook reads the messages of the account's batches. It remembers each
        participant, in about 70 bytes, so that it returns each only once.

        .. warning:: The result consists of phone numbers. A task that returns it, or passes it to another task, stores
            them in XCom and shows them in Airflow's web interface. Use them in the task that reads them.

        :param since: only participants of messages modified at this time or later: a datetime, or ISO 8601 text, UTC
            without a zone. The read then starts with the newest batch and ends as described for
            :class:`~airflow_provider_ip1.transfers.messages_to_s3.MessagesToS3Operator`, with a ``status_lookback`` of
            three days. ``None`` (default) reads every batch.
        :return: an iterator of phone numbers (digits with country code) and sender names, each of them once, those of
            the newest batches first.
        :raises IP1ResponseError: the direction of a message is unknown.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: ``since`` is not a time.
        """
        return self._rows(base.participants(since))

    def get_summary(self, participant: str) -> ConversationSummary:
        """
        Return how many messages a conversation has, by direction and latest status code.

        :param participant: phone number with country code, or sender name.
        :return: the counts; all zero if iP.1 has no messages (404).
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        """
        return self.client.run(self.client.summary(participant))

    def get_message(self, batch_id: str, message_id: str) -> Message:
        """
        Return one message with its full status history (iP.1's page on reading SMS).

        :param batch_id: id of the batch that the message belongs to.
        :param message_id: id of the message.
        :raises IP1NotFoundError: iP.1 does not know the message, or does not know it yet.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an id is empty or cannot be part of a path.
        """
        return self.client.run(self.client.message(batch_id, message_id))

    def iter_batches(self, *, order: Order = "DESC", page_size: int | None = None) -> Iterator[Batch]:
        """
        Iterate over the batches of the account, without their summaries.

        :param order: by creation, ``"DESC"`` (default, newest first) or ``"ASC"``.
        :param page_size: batches per request, 1 to 10000; default: the hook's.
        :return: an iterator. Close it to stop reading ahead before its end.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; the message names the argument.
        """
        return self._rows(base.batches(order, page_size))

    def get_batch(self, batch_id: str) -> Batch:
        """
        Return one batch with its summaries.

        :param batch_id: id of the batch.
        :raises IP1NotFoundError: iP.1 does not know the batch, or does not know it yet.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: the id is empty or cannot be part of a path.
        """
        return self.client.run(self.client.batch(batch_id))

    def iter_senders(self, *, page_size: int | None = None) -> Iterator[RegisteredSender]:
        """
        Iterate over the account's registered senders, alphabetically (iP.1's page on registering senders).

        A subscription or an additional service of iP.1 is needed to send as one of them. A trial account can only send
        as ``iP1`` or ``iP1sms``.

        :param page_size: senders per request, 1 to 10000; default: the hook's.
        :return: an iterator; empty if iP.1 lists none.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; the message names the argument.
        """
        return self._rows(base.senders(page_size))

    def iter_blacklist(self, *, page_size: int | None = None) -> Iterator[BlacklistEntry]:
        """
        Iterate over the numbers that get no SMS from the account (iP.1's page on the blacklist).

        A number gets there when its owner replies ``STOP``, by an unsubscribe link, or by iP.1's API or portal.

        .. warning:: The result consists of phone numbers. A task that returns it, or passes it to another task, stores
            them in XCom and shows them in Airflow's web interface. Use them in the task that reads them.

        :param page_size: numbers per request, 1 to 10000; default: the hook's.
        :return: an iterator in iP.1's order, which is not documented; empty if iP.1 lists none.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; the message names the argument.
        """
        return self._rows(base.blacklist(page_size))

    def cancel_batch(self, batch_id: str) -> None:
        """
        Cancel a batch whose delivery window has not opened.

        :param batch_id: id of the batch.
        :raises IP1NotFoundError: iP.1 does not know the batch, or no longer knows it.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: the id is empty or cannot be part of a path.
        """
        self.client.run(self.client.cancel(batch_id))

    def send_batch(self, **arguments: Unpack[SmsArguments]) -> Batch:
        """
        Send an SMS once, or report that the outcome is unknown.

        If a failure leaves the outcome open, the hook looks for the reference in the newest batches of the account for
        up to 30 seconds. It repeats the request only if iP.1 cannot have accepted it.

        :param recipients: a phone number, several separated by commas, or a list of them: with country code, at most
            15 digits. Or a mapping from each number to its placeholders and their values, or a list of mappings with
            the number as ``recipient``. The number ``default`` holds the values for recipients that lack their own.
        :param body: the text, 1 to 2000 characters. If ``recipients`` is a mapping, ``{name}`` is a placeholder.
        :param sender: 3 to 11 letters (A-Z, a-z) and digits, or a number of at most 15 digits. Default: the extra
            ``sender`` of the connection.
        :param reference: a text that no other batch of the account has, so that the hook can find the batch by it.
            Default: a random one.
        :param type: ``sms`` (default), or ``flash`` for a text that the phone shows at once and does not store.
        :param datacoding: ``ucs`` (default), or ``gsm`` to make iP.1 refuse a text that needs more than the GSM
            alphabet.
        :param priority: 1 (default), or 2 for faster delivery at a higher price.
        :param delivery_windows: mappings with ``opens`` and, optionally, ``closes``: datetimes or ISO 8601 texts, in
            UTC if they have no zone. Default: deliver at once.
        :param delivery_report_url: http or https URL that iP.1 posts delivery reports to.
        :param tags: labels of the batch.
        :return: the batch. If iP.1's response contains only an id, the other fields are those that were sent.
        :raises ValueError: an argument cannot be used; the message names the argument. Nothing was sent.
        :raises IP1SendUnknownError: it is unknown whether the SMS was sent.
        :raises IP1Error: iP.1 did not accept the SMS.
        """
        outgoing = OutgoingBatch(default_sender=self.settings.sender, **arguments)
        return self.send_once(outgoing).batch

    def send_once(
        self,
        outgoing: OutgoingBatch,
        *,
        check_sent: bool = False,
        is_mapped: bool = False,
        marker: Marker | None = None,
    ) -> SendResult:
        """
        Send a batch, unless an earlier try has sent it.

        :param outgoing: the batch.
        :param check_sent: whether an earlier try may have sent it. If so, the hook looks for its reference first.
        :param is_mapped: whether it belongs to a mapped task, so that a batch with its reference and another text is
            not this one.
        :param marker: what the task remembers of its earlier tries. It may save the search.
        :return: the batch, the number of its recipients and SMS, and whether an earlier try had sent it.
        :raises IP1ReferenceError: another batch has the reference. Nothing was sent.
        :raises IP1SendUnknownError: it is unknown whether the SMS was sent.
        :raises IP1Error: iP.1 did not accept the SMS.
        """
        return self.client.run(
            send_once(self.client, outgoing, check_sent=check_sent, is_mapped=is_mapped, marker=marker)
        )

    def test_connection(self) -> tuple[bool, str]:
        """
        Request the account's batches or senders, to check the base URL and the API key.

        :return: whether the test succeeded, and a message to show, which warns about a sender that is not registered.
        """
        try:
            return True, self.client.run(check_connection(self.client))
        except IP1Error as error:
            return False, str(error)

    def _rows(self, rows: base.Rows[T]) -> Iterator[T]:
        return self._pages(lambda: rows.lists).rows(rows.read)

    def _pages(
        self, describe: Callable[..., Lists], *arguments: Any, concurrency: int | None = None, **options: Any
    ) -> SyncPages:
        from airflow_provider_ip1.client.sync_client import SyncPages

        return SyncPages(self.client, describe(*arguments, **options), check_argument("concurrency", concurrency))
