# SPDX-License-Identifier: Apache-2.0
"""What both hooks share: their arguments, and reading the Airflow connection."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, Unpack

from airflow_provider_ip1 import __version__
from airflow_provider_ip1.api.settings import Settings, check_argument, read_settings
from airflow_provider_ip1.compat import BaseHook, find
from airflow_provider_ip1.exceptions import IP1ConnectionError

if TYPE_CHECKING:
    from airflow_provider_ip1.client.base_client import BaseClient

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
    return f"airflow-provider-ip1/{__version__} (Airflow {find('__version__', 'airflow')})"
