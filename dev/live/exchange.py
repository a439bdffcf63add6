# SPDX-License-Identifier: Apache-2.0
"""A request and its response, with the parts that the checks look at."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from airflow_provider_ip1.api.page_body import urls_by_relation
from airflow_provider_ip1.api.timestamps import read_timestamps

DEFAULT_LIMIT = 50
Key = Literal["right", "wrong", "missing"]
# RFC 8288, as far as iP.1 needs it.
_LINK = re.compile(r'<[^<>"\s]*>(\s*;\s*[a-z-]+="[^"]*")*')
_REL = re.compile(r'\brel="[a-z ]+"')


class LinkTarget(NamedTuple):
    """Start and limit of a link, in rows; ``None`` where the URL does not have them."""

    start: int | None
    limit: int | None

    @classmethod
    def of(cls, url: str) -> LinkTarget:
        query = parse_qs(urlsplit(url).query)
        start, limit = (query.get(name, [""])[0] for name in ("start", "limit"))
        return cls(int(start) if start.isdecimal() else None, int(limit) if limit.isdecimal() else None)


@dataclass(frozen=True)
class Exchange:
    """
    One request and its response.

    :param url: the complete URL of the request.
    :param status: the response's status code.
    :param headers: the response's headers, with names in lower case.
    :param body: the response's body, decompressed.
    :param key: which API key the request had.
    :param method: the request's method.
    """

    url: str = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    key: Key = "right"
    method: str = "GET"

    @cached_property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def start(self) -> int:
        return int(self.query.get("start", 0))

    @property
    def limit(self) -> int:
        return int(self.query.get("limit", DEFAULT_LIMIT))

    @property
    def order(self) -> str:
        return self.query.get("order", "ASC")

    @property
    def is_list(self) -> bool:
        return re.search(r"/v2/(conversations/[^/]+(/m[to])?|batches/[^/]+/messages)$", self.path) is not None

    @property
    def is_batches(self) -> bool:
        return self.path.endswith("/v2/batches")

    @property
    def is_summary(self) -> bool:
        return re.search(r"/v2/conversations/[^/]+/summary$", self.path) is not None

    @property
    def is_message(self) -> bool:
        return re.search(r"/v2/batches/[^/]+/messages/[^/]+$", self.path) is not None

    @property
    def participant(self) -> str | None:
        found = re.search(r"/v2/conversations/([^/]+)", self.path)
        return unquote(found[1]) if found else None

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or ``None`` if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def rows(self) -> list[dict[str, Any]] | None:
        """The messages of a list, or ``None`` if the response is not a list."""
        if self.status != 200 or not self.is_list or not isinstance(self.json, list):
            return None
        return self.json if all(isinstance(row, dict) for row in self.json) else None

    @cached_property
    def date(self) -> datetime | None:
        """The server's time when it responded, or ``None`` if the response does not tell it."""
        try:
            return parsedate_to_datetime(self.headers.get("date", ""))
        except ValueError:
            return None

    @property
    def ids(self) -> list[Any]:
        return [row.get("id") for row in self.rows or ()]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the response, a list or a single message."""
        if self.status == 200 and self.is_message and isinstance(self.json, dict):
            return [self.json]
        return self.rows or []

    @cached_property
    def links(self) -> Mapping[str, LinkTarget]:
        urls = urls_by_relation(self.headers.get("link") or "")
        return {relation: LinkTarget.of(url) for relation, url in urls.items()}


def time_of(value: object) -> datetime | None:
    """Return a time that iP.1 sent, or ``None`` if it is not readable."""
    return read_timestamps([value if isinstance(value, str) else None])[0]


def created_at(message: Mapping[str, Any]) -> datetime | None:
    """Return when a message was created, which is the beginning of ids like iP.1's, or ``None`` for other ids."""
    an_id = message.get("id")
    if not isinstance(an_id, str) or not re.fullmatch(r"[0-9a-f]{24}", an_id):
        return None
    return datetime.fromtimestamp(int(an_id[:8], 16), UTC)


def link_form(header: str | None) -> str:
    """Describe the form of a Link header without quoting any of it."""
    if header is None:
        return "no header"
    links = re.split(r",\s*(?=<|;)", header.strip())
    if all(_LINK.fullmatch(link) and _REL.search(link) for link in links):
        return "RFC 8288"
    if all(re.fullmatch(r'<[^<>]*>\s+rel="[^"]*"', link) for link in links):
        return "without ';' before rel"
    if not re.search(r"<[^<>]+>", header) and "rel=" in header:
        return "without URLs"
    return "RFC 8288 in another notation" if urls_by_relation(header) else "not readable"


def shape(each: Exchange) -> str:
    """Describe a body without quoting any of it."""
    media = each.headers.get("content-type", "no type").partition(";")[0].strip().lower()
    if not each.body:
        return f"empty, {media}"
    if isinstance(each.json, dict):
        # A name that is not a plain word may be personal data.
        names = ((name if re.fullmatch(r"[A-Za-z_]{1,30}", name) else "...") for name in each.json)
        return f"{media}, object with {', '.join(names)}"
    if isinstance(each.json, list):
        return f"{media}, list"
    return f"{media}, not JSON" if each.json is None else f"{media}, JSON {type(each.json).__name__}"
