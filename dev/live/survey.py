# SPDX-License-Identifier: Apache-2.0
"""Request from an iP.1 API what the expectations look at."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

import requests

from airflow_provider_ip1.api.requests import normalize_participant
from airflow_provider_ip1.client.shared_rate import SharedRate
from dev.live.exchange import Exchange, Key

BASE_URL = "https://api.ip1sms.com"
#: From a range reserved for fiction, so nobody has this number and the account never sent anything to it.
UNKNOWN_PARTICIPANT = "46701740608"
INVALID_PARTICIPANT = "not a <participant>"
MAX_MESSAGES = 10_000
HUGE_LIMIT = 1_000_000
MAX_BLACKLISTED = 20
#: Requests per second, so that no check loads the API.
RATE = 5
_FEW = 3


class CannotCheck(Exception):
    """The check is not possible. The message says why, and what to do."""


@dataclass
class Api:
    """
    A server, for GET requests at a low rate.

    :param base_url: the server's base URL.
    :param key: the right API key.
    :param exchanges: all exchanges so far.
    :raises CannotCheck: if the key would travel unencrypted.
    """

    base_url: str
    key: str = field(repr=False)
    exchanges: list[Exchange] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
            raise CannotCheck("IP1_BASE_URL must start with https://, so that nobody can read the key on its way.")
        self._session = requests.Session()
        self._rate = SharedRate()
        self._per_second = 0 if is_local else RATE

    def get(self, path: str, *, key: Key = "right", **query: object) -> Exchange:
        """
        Send one request and add it to ``exchanges``.

        :param path: the percent-encoded path, starting with ``/v2/``.
        :param key: which API key to send.
        :param query: the parameters of the query.
        :raises CannotCheck: if there is no response.
        """
        url = f"{self.base_url.rstrip('/')}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = {"right": f"Bearer {self.key}", "wrong": "Bearer not-the-right-key", "missing": None}[key]

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if sent is not None:
                request.headers["Authorization"] = sent
            return request

        for seconds in self._rate.turn(self._per_second):
            time.sleep(seconds)
        problem = None
        try:
            response = self._session.get(
                url, auth=authorize, headers={"Accept": "application/json"}, timeout=(10, 60), allow_redirects=False
            )
        except requests.RequestException as error:
            problem = type(error).__name__
        if problem is not None:
            # Raise it outside of the handler, because the original error quotes the URL with the participant.
            raise CannotCheck(f"No response from {urlsplit(url).hostname}: {problem}.")
        received = {name.lower(): value for name, value in response.headers.items()}
        exchange = Exchange(url, response.status_code, received, response.content, key)
        self.exchanges.append(exchange)
        return exchange


def take_survey(api: Api, participant: str) -> Sequence[Exchange]:
    """
    Send all requests, about 25, and one for each of at most 20 numbers on the blacklist.

    :param api: the server.
    :param participant: a number or name with at least 3 messages.
    :raises CannotCheck: if the server rejects the key, or if there are too few or too many messages.
    """
    path = f"/v2/conversations/{quote(normalize_participant(participant), safe='')}"
    first = api.get(path, start=0, limit=_FEW, order="ASC")
    if first.status in (401, 403):
        raise CannotCheck(
            f"The server rejects the key ({first.status}). Check IP1_API_KEY, and the addresses it is restricted to."
        )
    if not first.rows or len(first.rows) < _FEW:
        raise CannotCheck(
            f"The first page has status {first.status} and {len(first.rows or ())} messages, but {_FEW} are needed. "
            "Choose an IP1_PARTICIPANT with more messages."
        )
    summary = api.get(f"{path}/summary")
    counted = summary.json.get("totalMessageCount") if isinstance(summary.json, dict) else None
    if isinstance(counted, int) and counted > MAX_MESSAGES:
        raise CannotCheck(f"There are {counted} messages. Choose an IP1_PARTICIPANT with at most {MAX_MESSAGES}.")
    whole = api.get(path, start=0, limit=HUGE_LIMIT, order="ASC")
    # The server may lower the limit. Then the summary or the Link header shows the length of the list.
    last = first.links.get("last")
    by_link = (last.start or 0) + _FEW if last is not None else 0
    total = max(counted if isinstance(counted, int) else 0, len(whole.ids)) or by_link
    for start in (1, 2, max(total - 2, 0), total, total + 1000):
        api.get(path, start=start, limit=_FEW, order="ASC")
    api.get(path, start=0, limit=_FEW, order="DESC")
    api.get(path)
    sent, received = (api.get(f"{path}/{each}", start=0, limit=HUGE_LIMIT, order="ASC") for each in ("mt", "mo"))
    unknown = f"/v2/conversations/{UNKNOWN_PARTICIPANT}"
    for other in (unknown, f"{unknown}/summary", f"/v2/conversations/{quote(INVALID_PARTICIPANT, safe='')}"):
        api.get(other)
    for key in ("missing", "wrong"):
        api.get(path, key=key, start=0, limit=1)
    # A sent message has a longer history than a received one.
    for messages in (sent.messages[:1] or first.messages[:1], received.messages[-1:]):
        _request_batch(api, messages)
    api.get("/v2/me/senders")
    api.get("/v2/batches", start=0, limit=50, order="ASC")
    # All that the server grants, because a received message may be old.
    api.get("/v2/batches", start=0, limit=HUGE_LIMIT, order="DESC")
    # iP.1 documents no filter by direction.
    api.get("/v2/batches", start=0, limit=_FEW, order="DESC", direction="MO")
    blacklist = api.get("/v2/blacklist", start=0, limit=50, order="ASC")
    rows = blacklist.json if isinstance(blacklist.json, list) else []
    for row in rows[:MAX_BLACKLISTED]:
        if isinstance(row, dict) and str(row.get("msisdn")).isdecimal():
            api.get(f"/v2/conversations/{row['msisdn']}/mt", start=0, limit=HUGE_LIMIT, order="DESC")
    return api.exchanges


def _request_batch(api: Api, messages: Sequence[Mapping[str, object]]) -> None:
    for message in messages:
        batch_id, message_id = message.get("batchId"), message.get("id")
        if isinstance(batch_id, str) and isinstance(message_id, str) and batch_id and message_id:
            path = f"/v2/batches/{quote(batch_id, safe='')}/messages"
            api.get(f"{path}/{quote(message_id, safe='')}")
            api.get(path, start=0, limit=50, order="ASC")


def from_environment() -> tuple[str, str, str]:
    """
    Return the base URL, the API key and the participant.

    :raises CannotCheck: if a variable is missing; the message says which.
    """
    for name in ("IP1_API_KEY", "IP1_PARTICIPANT"):
        if not os.environ.get(name):
            raise CannotCheck(f"Set {name}. See docs/internals/recordings.md.")
    base_url = os.environ.get("IP1_BASE_URL") or BASE_URL
    return base_url, os.environ["IP1_API_KEY"], os.environ["IP1_PARTICIPANT"]
