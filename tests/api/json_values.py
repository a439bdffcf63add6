# SPDX-License-Identifier: Apache-2.0
"""JSON that iP.1 might send, right and wrong, for tests of whatever reads it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from hypothesis import strategies as st

from airflow_provider_ip1.exceptions import IP1ResponseError

T = TypeVar("T")

PARTICIPANT = "46701740605"
OTHER_NUMBER = "46701740606"
ID = "5bcf4324f1a1d30d0c9a4a6b"
SECRET = f"hemligt {OTHER_NUMBER}"

# Shape and spellings follow iP.1's documentation (schema of GetConversationMessages, and the page "Reading messages").
# The values are made up.
OUTGOING = f"""{{
    "id": "{ID}", "batchId": "5bcf4324f1a1d30d0c9a4a00", "owner": "ip1-12345", "sender": "iP1",
    "recipient": "{PARTICIPANT}", "body": "Välkommen 😀", "direction": 0, "segments": 2, "type": 1,
    "datacoding": 2, "priority": 1, "price": 0.10, "currency": "eur",
    "statuses": [{{"code": 201, "duration": 1, "created": "2018-10-23T17:43:19.1234567Z"}}],
    "modified": "2018-10-23T17:43:19Z", "reference": "order 17", "mcc": "240", "mnc": "01"
}}""".encode()


class WrittenNumber(float):
    """A number that :func:`dumps` writes as it is spelled."""

    text: str

    def __new__(cls, text: str) -> WrittenNumber:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text


def dumps(value: Any, **options: Any) -> bytes:
    """Encode a value as JSON. Options are those of :func:`json.dumps`."""

    # json.dumps writes floats with float.__repr__, so the spelled numbers are passed as marked texts.
    def mark(item: Any) -> Any:
        if isinstance(item, WrittenNumber):
            return f"<number>{item.text}</number>"
        if isinstance(item, dict):
            return {name: mark(each) for name, each in item.items()}
        return [mark(each) for each in item] if isinstance(item, list) else item

    text = json.dumps(mark(value), **options)
    return text.replace('"<number>', "").replace('</number>"', "").encode()


def outcome(read: Callable[..., T], *args: Any, **kwargs: Any) -> T | tuple[type, str]:
    """Return what a call returns, or the error that it raises."""
    try:
        return read(*args, **kwargs)
    except IP1ResponseError as error:
        return type(error), str(error)


def assert_names(error: BaseException, *parts: str) -> None:
    """Check that an error contains the parts. Neither it nor a chained error may show :data:`SECRET` or its number."""
    for part in parts:
        assert part in str(error)
    shown = "".join(traceback.format_exception(error)) + repr(error)
    link: BaseException | None = error
    while link is not None:
        shown += repr(link) + repr(vars(link))
        link = link.__cause__ or link.__context__
    assert "hemligt" not in shown
    assert OTHER_NUMBER not in shown


@st.composite
def timestamps(draw: st.DrawFn) -> tuple[str, datetime]:
    """An RFC 3339 time as .NET and others write it, and the same time in UTC."""
    time = draw(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)))
    digits = draw(st.integers(0, 7))
    seven = f"{time.microsecond:06d}{draw(st.integers(0, 9))}"
    fraction = f".{seven[:digits]}" if digits else ""
    time = time.replace(microsecond=int(seven[: min(digits, 6)].ljust(6, "0") or 0))
    minutes = draw(st.none() | st.sampled_from(["Z", "z"]) | st.integers(-14 * 60, 14 * 60))
    text = time.strftime("%m-%dT%H:%M:%S")
    if draw(st.booleans()):
        text = text.replace("T", "t")
    text = f"{time.year:04d}-{text}{fraction}"
    if minutes is None or isinstance(minutes, str):
        return text + (minutes or ""), time.replace(tzinfo=UTC)
    hours, rest = divmod(abs(minutes), 60)
    zone = timezone(timedelta(minutes=minutes))
    return f"{text}{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}", time.replace(tzinfo=zone).astimezone(UTC)


texts = st.text(st.characters(codec="utf-8"), max_size=30)
addresses = st.sampled_from([PARTICIPANT, OTHER_NUMBER, f"+{PARTICIPANT}", "iP1", "Company name"])
decimals = st.from_regex(r"\A-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?\Z")
int32s = st.integers(-(2**31), 2**31 - 1)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["", "1", "0.10", "MT", "2020-01-01", "2020-01-01T00:00:00", 10**30, 1.0, -0.0, "1_0", " 1", "١"])
    | st.sampled_from(["1e400", "9" * 5000, "-0", "1E+2"]).map(WrittenNumber)
    | decimals.map(WrittenNumber)
    | timestamps().map(lambda pair: pair[0]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "duration", "created", "x"]), inner, max_size=4)
    ),
    max_leaves=6,
)
"""A value that may be in a field, right or wrong."""
