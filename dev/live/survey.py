# SPDX-License-Identifier: Apache-2.0
"""Request everything from an iP.1 API that the expectations and the open questions need."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

import requests

from airflow_provider_ip1.api.rate import RequestRate
from airflow_provider_ip1.api.requests import normalize_participant
from dev.live.cassettes import BASE_URL, Key
from dev.live.exchange import Exchange

#: From a range reserved for fiction, so nobody has this number and the account never sent anything to it.
UNKNOWN_PARTICIPANT = "46701740608"
INVALID_PARTICIPANT = "not a <participant>"
MAX_MESSAGES = 10_000
HUGE_LIMIT = 1_000_000
_FEW = 3


class CannotCheck(Exception):
    """The check is not possible. The message says why, and what to do."""


@dataclass
class Api:
    """
    A server, for requests at a low rate.

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
        self.base_url = self.base_url.rstrip("/")
        is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
            raise CannotCheck("IP1_BASE_URL must start with https://, so that nobody can read the key on its way.")
        self._session = requests.Session()
        self._rate = RequestRate(0 if is_local else 5)

    def get(self, path: str, *, key: Key = "right", **query: object) -> Exchange:
        """
        Send one request and add it to ``exchanges``.

        :param path: the percent-encoded path, starting with ``/v2/``.
        :param key: which API key to send.
        :param query: the parameters of the query.
        :raises CannotCheck: if there is no response.
        """
        return self._send("GET", path + (f"?{urlencode(query)}" if query else ""), key)

    def post(self, path: str, body: bytes) -> Exchange:
        """
        Send JSON and add the exchange to ``exchanges``.

        :param path: the percent-encoded path, starting with ``/v2/``.
        :param body: the JSON.
        :raises CannotCheck: if there is no response.
        """
        return self._send("POST", path, "right", body)

    def _send(self, method: str, path: str, key: Key, body: bytes | None = None) -> Exchange:
        url = f"{self.base_url}{path}"
        sent = {"right": f"Bearer {self.key}", "wrong": "Bearer not-the-right-key", "missing": None}[key]

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if sent is not None:
                request.headers["Authorization"] = sent
            return request

        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        time.sleep(self._rate.reserve(time.monotonic()))
        problem = None
        try:
            response = self._session.request(
                method, url, data=body, auth=authorize, headers=headers, timeout=(10, 60), allow_redirects=False
            )
        except requests.RequestException as error:
            problem = type(error).__name__
        if problem is not None:
            # Raise it outside of the handler, because the original error quotes the URL with the participant.
            raise CannotCheck(f"No response from {urlsplit(self.base_url).hostname}: {problem}.")
        received = {name.lower(): value for name, value in response.headers.items()}
        exchange = Exchange(url, response.status_code, received, response.content, key, method)
        self.exchanges.append(exchange)
        return exchange


@dataclass
class Survey:
    """The exchanges that :func:`take_survey` made, named after their purpose."""

    participant: str
    first: Exchange
    from_one: Exchange
    from_two: Exchange
    whole: Exchange
    after_last: Exchange
    far_after_last: Exchange
    last_page: Exchange
    middle: Exchange
    newest: Exchange
    sent: Exchange
    received: Exchange
    summary: Exchange
    unknown: Exchange
    unknown_summary: Exchange
    invalid: Exchange
    without_key: Exchange
    with_wrong_key: Exchange
    batch: Exchange | None
    message: Exchange | None
    spellings: Mapping[str, Exchange]
    without_parameters: Exchange
    lower_case_order: Exchange
    batches: Exchange
    senders: Exchange
    own: Mapping[str, Exchange]
    oldest_batches: Exchange
    newest_batches: Exchange
    received_batch: Exchange | None
    exchanges: Sequence[Exchange]

    @property
    def total(self) -> int:
        return len(self.whole.ids)


def take_survey(api: Api, participant: str) -> Survey:
    """
    Send all requests.

    :param api: the server.
    :param participant: a number or name with at least 3 messages.
    :raises CannotCheck: if the server rejects the key, or if there are too few or too many messages.
    """
    participant = normalize_participant(participant)
    path = f"/v2/conversations/{quote(participant, safe='')}"
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
    sent = api.get(f"{path}/mt", start=0, limit=HUGE_LIMIT, order="ASC")
    # Prefer a sent message, because it has a longer history than a received one.
    batch, message = _batch_of(api, [*sent.messages, *first.messages])
    received = api.get(f"{path}/mo", start=0, limit=HUGE_LIMIT, order="ASC")
    return Survey(
        participant=participant,
        first=first,
        from_one=api.get(path, start=1, limit=_FEW, order="ASC"),
        from_two=api.get(path, start=2, limit=_FEW, order="ASC"),
        whole=whole,
        after_last=api.get(path, start=total, limit=_FEW, order="ASC"),
        far_after_last=api.get(path, start=total + 1000, limit=_FEW, order="ASC"),
        last_page=api.get(path, start=max(total - 2, 0), limit=_FEW, order="ASC"),
        middle=api.get(path, start=1, limit=1, order="ASC"),
        newest=api.get(path, start=0, limit=_FEW, order="DESC"),
        sent=sent,
        received=received,
        summary=summary,
        unknown=api.get(f"/v2/conversations/{UNKNOWN_PARTICIPANT}"),
        unknown_summary=api.get(f"/v2/conversations/{UNKNOWN_PARTICIPANT}/summary"),
        invalid=api.get(f"/v2/conversations/{quote(INVALID_PARTICIPANT, safe='')}"),
        without_key=api.get(path, key="missing", start=0, limit=1),
        with_wrong_key=api.get(path, key="wrong", start=0, limit=1),
        batch=batch,
        message=message,
        spellings={
            name: api.get(f"/v2/conversations/{quote(spelled, safe='')}", start=0, limit=1, order="ASC")
            for name, spelled in _spellings(participant).items()
        },
        without_parameters=api.get(path),
        lower_case_order=api.get(path, start=0, limit=_FEW, order="desc"),
        batches=api.get("/v2/batches", start=0, limit=50, order="DESC"),
        senders=api.get("/v2/me/senders"),
        own={
            name: api.get(f"/v2/conversations/{quote(address, safe='')}", start=0, limit=50, order="DESC")
            for name, address in _own_addresses(whole.messages, participant).items()
        },
        oldest_batches=api.get("/v2/batches", start=0, limit=50, order="ASC"),
        # All that the server grants, because a received message may be old.
        newest_batches=api.get("/v2/batches", start=0, limit=HUGE_LIMIT, order="DESC"),
        received_batch=_batch_of_newest(api, received),
        exchanges=api.exchanges,
    )


def _batch_of(api: Api, messages: Iterable[Mapping[str, object]]) -> tuple[Exchange | None, Exchange | None]:
    for message in messages:
        batch_id, message_id = message.get("batchId"), message.get("id")
        if isinstance(batch_id, str) and isinstance(message_id, str) and batch_id and message_id:
            path = f"/v2/batches/{quote(batch_id, safe='')}/messages"
            single = api.get(f"{path}/{quote(message_id, safe='')}")
            return api.get(path, start=0, limit=50, order="ASC"), single
    return None, None


def _own_addresses(messages: Iterable[Mapping[str, object]], participant: str) -> dict[str, str]:
    """Return one number and one name of the account, as far as the conversation shows them."""
    found: dict[str, str] = {}
    for message in messages:
        for address in (message.get("sender"), message.get("recipient")):
            if isinstance(address, str) and address and address != participant:
                found.setdefault("own number" if address.isdigit() else "own name", address)
    return found


def _batch_of_newest(api: Api, messages: Exchange) -> Exchange | None:
    batch_id = messages.messages[-1].get("batchId") if messages.messages else None
    if not isinstance(batch_id, str) or not batch_id:
        return None
    return api.get(f"/v2/batches/{quote(batch_id, safe='')}/messages", start=0, limit=_FEW, order="ASC")


def _spellings(participant: str) -> dict[str, str]:
    if not participant.isdigit():
        other_case = participant.swapcase()
        return {"a name with upper and lower case swapped": other_case} if other_case != participant else {}
    spellings = {"with +": f"+{participant}", "with 00": f"00{participant}"}
    if participant.startswith("46"):
        spellings["national (0...)"] = f"0{participant[2:]}"
    return spellings


def from_environment(subject: str = "IP1_PARTICIPANT") -> tuple[str, str, str]:
    """
    Return the base URL, the API key and what a variable says.

    :param subject: the variable, by default the one of the participant.
    :raises CannotCheck: if a variable is missing; the message names it.
    """
    for name in ("IP1_API_KEY", subject):
        if not os.environ.get(name):
            raise CannotCheck(f"Set {name}. See docs/recordings.md.")
    base_url = os.environ.get("IP1_BASE_URL") or BASE_URL
    return base_url, os.environ["IP1_API_KEY"], os.environ[subject]
