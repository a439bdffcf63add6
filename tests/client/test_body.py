# SPDX-License-Identifier: Apache-2.0
"""Bodies are decompressed piece by piece, whatever the pieces are, and never beyond the limit."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.client.outcome import ACCEPT_ENCODING, Body, UnusableBody

TEXT = b'[{"id":"a1"},{"id":"b2"}]' * 5


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    " GZip ": gzip.compress,
}


def collect(coding: str | None, *pieces: bytes, limit: int = 1_000_000) -> bytes:
    body = Body(coding, limit)
    for piece in pieces:
        body.add(piece)
    return body.finish()


@pytest.mark.parametrize("coding", PACK)
@given(data=st.binary(max_size=500), cuts=st.lists(st.integers(0, 600), max_size=5))
def test_any_pieces_of_a_body_become_the_body(coding: str, data: bytes, cuts: list[int]) -> None:
    packed = PACK[coding](data)
    ends = [0, *sorted(cuts), len(packed)]
    assert collect(coding, *(packed[start:end] for start, end in zip(ends, ends[1:], strict=False))) == data


@pytest.mark.parametrize("coding", [None, "", "identity", "utf-8", "br", "deflate", "gzip, gzip"])
def test_other_codings_are_left_as_they_are(coding: str | None) -> None:
    assert collect(coding, TEXT[:3], TEXT[3:]) == TEXT


@pytest.mark.parametrize("cut", [5, 20, len(gzip.compress(TEXT))])
def test_a_gzip_body_may_have_several_members(cut: int) -> None:
    packed = gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(TEXT)
    assert collect("gzip", packed[:cut], packed[cut:]) == TEXT + TEXT


@pytest.mark.parametrize("coding", PACK)
def test_a_body_without_a_byte_is_empty(coding: str) -> None:
    assert collect(coding) == b""


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda packed: packed[:-1], "ends early"),
        (lambda packed: packed[:1], "ends early"),
        (lambda packed: b"\xff" * 50, "not valid"),
        (lambda packed: packed + b"\xff" * 30, "not valid"),
        (lambda packed: TEXT, "not valid"),
    ],
    ids=["without-its-end", "one-byte", "garbage", "garbage-behind-it", "not-compressed"],
)
def test_a_damaged_body_may_be_complete_next_time(coding: str, damage: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(UnusableBody, match=reason) as caught:
        collect(coding, damage(PACK[coding](TEXT)))
    assert caught.value.failure.kind == "network"


@pytest.mark.parametrize("coding", [None, *PACK])
def test_the_limit_holds_for_what_arrives_and_for_what_it_becomes(coding: str | None) -> None:
    pack = PACK[coding] if coding else bytes
    for size in (999_999, 1_000_000):
        assert len(collect(coding, pack(bytes(size)))) == size
    with pytest.raises(UnusableBody, match="larger than 1,000,000 bytes") as caught:
        collect(coding, pack(bytes(1_000_001)))
    assert caught.value.failure.kind == "response"


def test_members_without_content_do_not_go_on_forever() -> None:
    body = Body("gzip", 10_000)
    with pytest.raises(UnusableBody, match="larger than 10,000 bytes"):
        for _ in range(10_000):
            body.add(gzip.compress(b""))


@pytest.mark.parametrize("coding", PACK)
def test_a_bomb_takes_no_more_memory_than_the_limit(coding: str) -> None:
    bomb = PACK[coding](bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(UnusableBody, match="larger"):
            collect(coding, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_only_codings_that_can_be_read_are_asked_for() -> None:
    assert collect(ACCEPT_ENCODING, PACK[ACCEPT_ENCODING](TEXT)) == TEXT
