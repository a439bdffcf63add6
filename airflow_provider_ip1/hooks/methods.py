# SPDX-License-Identifier: Apache-2.0
"""The methods of both hooks that send requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack

from airflow_provider_ip1.api.account import BlacklistEntry, RegisteredSender, decode_blacklist_entry, decode_sender
from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.decoding import decode_batch
from airflow_provider_ip1.api.messages import ConversationSummary, Message
from airflow_provider_ip1.api.paging.listing import (
    Lists,
    account_list,
    account_messages,
    batch_list,
    batch_message_list,
    conversation_lists,
)
from airflow_provider_ip1.api.participant_search import ParticipantSearch
from airflow_provider_ip1.api.requests import Order, ReadOptions, blacklist_request, senders_request
from airflow_provider_ip1.api.sending import OutgoingBatch, SmsArguments
from airflow_provider_ip1.api.sent_batch import SendResult
from airflow_provider_ip1.client.base_client import BaseClient, Flow
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.client.send_once import send_once

if TYPE_CHECKING:
    from airflow_provider_ip1.client.async_client import AsyncPages
    from airflow_provider_ip1.client.sync_client import SyncPages

T = TypeVar("T")
P = ParamSpec("P")


class HookMethods:
    """
    The methods of :class:`~airflow_provider_ip1.hooks.ip1.IP1Hook`.

    They describe what is to be done. Each hook does it in its own ``_run`` and ``open_pages``, so
    :class:`~airflow_provider_ip1.hooks.ip1.IP1AsyncHook` has the same methods, as coroutines and async iterators.
    """

    def _run(self, operation: Callable[[BaseClient], Flow[T]]) -> T:
        """Run an operation of the hook's client."""
        raise NotImplementedError

    def open_pages(self, lists: Lists, concurrency: int | None = None) -> SyncPages:
        """
        Open lists. This and :class:`Listing` are not part of the public interface.

        :param lists: the lists to read.
        :param concurrency: maximum number of requests in flight, 1 to 64; default: the hook's.
        :return: an iterator of their pages.
        """
        raise NotImplementedError

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
        return self.iter_pages(participant, **options).rows(attrgetter("messages"))

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
        return self.open_pages(
            conversation_lists(participants, **_without_concurrency(options)), options.get("concurrency")
        )

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
        lists = [batch_message_list(batch_id, order=order, page_size=page_size)]
        return self.open_pages(lists).rows(attrgetter("messages"))

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
        return self.open_pages(account_messages(**_without_concurrency(options)), options.get("concurrency"))

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
        search = ParticipantSearch(since, datetime.now(UTC))
        pages = self.iter_batch_pages(order="DESC")
        return pages.rows(lambda page: None if search.is_over(page) else search.new_in(page))

    def get_summary(self, participant: str) -> ConversationSummary:
        """
        Return how many messages a conversation has, by direction and latest status code.

        :param participant: phone number with country code, or sender name.
        :return: the counts; all zero if iP.1 has no messages (404).
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        """
        return self._run(lambda client: client.summary(participant))

    def get_message(self, batch_id: str, message_id: str) -> Message:
        """
        Return one message with its full status history (iP.1's page on reading SMS).

        :param batch_id: id of the batch that the message belongs to.
        :param message_id: id of the message.
        :raises IP1NotFoundError: iP.1 does not know the message, or does not know it yet.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an id is empty or cannot be part of a path.
        """
        return self._run(lambda client: client.message(batch_id, message_id))

    def iter_batches(self, *, order: Order = "DESC", page_size: int | None = None) -> Iterator[Batch]:
        """
        Iterate over the batches of the account, without their summaries.

        :param order: by creation, ``"DESC"`` (default, newest first) or ``"ASC"``.
        :param page_size: batches per request, 1 to 10000; default: the hook's.
        :return: an iterator. Close it to stop reading ahead before its end.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; the message names the argument.
        """
        lists = [batch_list(order=order, page_size=page_size)]
        return self.open_pages(lists).rows(lambda page: map(decode_batch, page.raws))

    def get_batch(self, batch_id: str) -> Batch:
        """
        Return one batch with its summaries.

        :param batch_id: id of the batch.
        :raises IP1NotFoundError: iP.1 does not know the batch, or does not know it yet.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: the id is empty or cannot be part of a path.
        """
        return self._run(lambda client: client.batch(batch_id))

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
        lists = [account_list(senders_request(), page_size=page_size)]
        return self.open_pages(lists).rows(lambda page: map(decode_sender, page.raws))

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
        lists = [account_list(blacklist_request(), page_size=page_size)]
        return self.open_pages(lists).rows(lambda page: map(decode_blacklist_entry, page.raws))

    def cancel_batch(self, batch_id: str) -> None:
        """
        Cancel a batch whose delivery window has not opened.

        :param batch_id: id of the batch.
        :raises IP1NotFoundError: iP.1 does not know the batch, or no longer knows it.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: the id is empty or cannot be part of a path.
        """
        return self._run(lambda client: client.cancel(batch_id))

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
        return self._run(lambda client: _send_batch(client, arguments))

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
        return self._run(
            lambda client: send_once(client, outgoing, check_sent=check_sent, is_mapped=is_mapped, marker=marker)
        )


def _without_concurrency(options: ReadOptions) -> Any:
    return {name: value for name, value in options.items() if name != "concurrency"}


def _send_batch(client: BaseClient, arguments: SmsArguments) -> Flow[Batch]:
    outgoing = OutgoingBatch(default_sender=client.settings.sender, **arguments)
    return (yield from send_once(client, outgoing, check_sent=False)).batch


# -- for the async hook, whose _run is a coroutine and whose open_pages returns async pages


def as_coroutine(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """
    Make a coroutine of a method that runs an operation.

    :param method: of :class:`HookMethods`.
    """

    @wraps(method)
    async def call(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        return await method(self, *arguments, **options)  # type: ignore[misc,no-any-return]  # it is not T there

    return call


def as_async_iterator(
    method: Callable[Concatenate[Any, P], Iterator[T]],
) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """
    Declare that a method returns an async iterator.

    :param method: of :class:`HookMethods`.
    """
    return method  # type: ignore[return-value]  # it depends on open_pages


def as_async_pages(method: Callable[Concatenate[Any, P], SyncPages]) -> Callable[Concatenate[Any, P], AsyncPages]:
    """
    Declare that a method returns async pages.

    :param method: of :class:`HookMethods`.
    """
    return method  # type: ignore[return-value]  # it depends on open_pages
