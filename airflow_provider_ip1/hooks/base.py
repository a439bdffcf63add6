# SPDX-License-Identifier: Apache-2.0
"""What both hooks share: their arguments, reading the Airflow connection, and what they iterate over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypedDict, TypeVar, Unpack

from airflow_provider_ip1 import __version__
from airflow_provider_ip1.api.account import BlacklistEntry, RegisteredSender, decode_blacklist_entry, decode_sender
from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.decoding import decode_batch
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.paging.listing import (
    Lists,
    account_list,
    account_messages,
    batch_list,
    batch_message_list,
)
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.participant_search import ParticipantSearch
from airflow_provider_ip1.api.requests import Order, blacklist_request, senders_request
from airflow_provider_ip1.api.settings import Settings, check_argument, read_settings
from airflow_provider_ip1.compat import BaseHook
from airflow_provider_ip1.exceptions import IP1ConnectionError

if TYPE_CHECKING:
    from airflow_provider_ip1.client.base_client import BaseClient

T = TypeVar("T")
ClientT = TypeVar("ClientT", bound="BaseClient")


class HookSettings(TypedDict, total=False):
    """The settings that a hook takes as arguments. They override the connection's extras; see :class:`IP1Hook`."""

    timeout: float | tuple[float, float] | None
    page_size: int | None
    concurrency: int | None
    max_attempts: int | None
    requests_per_second: float | None


class BaseIP1Hook(BaseHook, Generic[ClientT]):
    """The arguments and the connection, shared by both hooks."""

    conn_name_attr = "ip1_conn_id"
    default_conn_name = "ip1_default"
    conn_type = "ip1"
    hook_name = "iP.1 SMS"

    def __init__(self, ip1_conn_id: str = default_conn_name, **settings: Unpack[HookSettings]) -> None:
        super().__init__()
        self.ip1_conn_id = ip1_conn_id
        if unknown := settings.keys() - HookSettings.__annotations__.keys():
            raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {min(unknown)!r}")
        self._overrides = {name: check_argument(name, value) for name, value in settings.items()}
        self._client: ClientT | None = None
        self._creating = threading.Lock()
        self._closed_counts = (0, 0)
        self._warned = False

    @property
    def requests_sent(self) -> int:
        """Number of requests sent so far, including retries."""
        return self._closed_counts[0] + (self._client.requests_sent if self._client else 0)

    @property
    def retries(self) -> int:
        """Number of requests so far that repeated another one after a failure."""
        return self._closed_counts[1] + (self._client.retries if self._client else 0)

    @property
    def clock_offset(self) -> timedelta:
        """iP.1's clock minus this machine's, 0 or less, by the responses so far. A clock that is ahead counts as 0."""
        return self._client.clock_offset if self._client else timedelta(0)

    def _read_settings(self, connection: Any, extra: Mapping[str, Any]) -> Settings:
        """Check a connection that was looked up; ``None`` if there is none."""
        if connection is None:
            raise IP1ConnectionError(
                f"There is no Airflow connection {self.ip1_conn_id!r}. Create it, with the API key as its password. "
                "Code that runs outside a task finds only connections in environment variables and secrets backends."
            )
        settings, unknown = read_settings(self.ip1_conn_id, connection, extra, self._overrides)
        if unknown and not self._warned:
            self._warned = True
            self.log.warning(
                "Connection %r has extras that the iP.1 provider does not know: %s.",
                self.ip1_conn_id,
                ", ".join(unknown),
            )
        return settings


@cache
def user_agent() -> str:
    """Return the User-Agent header: the versions of this provider and of Airflow."""
    airflow = "unknown"
    for distribution in ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk"):
        try:
            airflow = version(distribution)
            break
        except PackageNotFoundError:
            continue
    return f"airflow-provider-ip1/{__version__} (Airflow {airflow})"


class Rows(NamedTuple, Generic[T]):
    """
    What a method iterates over.

    :param lists: the lists to read.
    :param read: returns the rows of a page; ``None`` to end.
    """

    lists: Lists
    read: Callable[[Page], Iterable[T] | None]


def messages_of(page: Page) -> Iterable[Message]:
    """
    Return the messages of a page.

    :param page: the page.
    """
    return page.messages


def batch_messages(batch_id: str, order: Order, page_size: int | None) -> Rows[Message]:
    """Describe ``iter_batch_messages``, with its arguments."""
    return Rows([batch_message_list(batch_id, order=order, page_size=page_size)], messages_of)


def batches(order: Order, page_size: int | None) -> Rows[Batch]:
    """Describe ``iter_batches``, with its arguments."""
    return Rows([batch_list(order=order, page_size=page_size)], lambda page: map(decode_batch, page.raws))


def senders(page_size: int | None) -> Rows[RegisteredSender]:
    """Describe ``iter_senders``, with its argument."""
    return Rows([account_list(senders_request(), page_size=page_size)], lambda page: map(decode_sender, page.raws))


def blacklist(page_size: int | None) -> Rows[BlacklistEntry]:
    """Describe ``iter_blacklist``, with its argument."""
    lists = [account_list(blacklist_request(), page_size=page_size)]
    return Rows(lists, lambda page: map(decode_blacklist_entry, page.raws))


def participants(since: datetime | str | None) -> Rows[str]:
    """Describe ``iter_participants``, with its argument."""
    search = ParticipantSearch(since, datetime.now(UTC))
    return Rows(account_messages(order="DESC"), lambda page: None if search.is_over(page) else search.new_in(page))
