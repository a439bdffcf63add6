# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import zstandard
from hypothesis import given, strategies as st

from airflow_provider_ip1.formats.encode import encode, one_line
from tests.formats.odd_messages import ODD_RAWS
from tests.formats.pages import page_of


def jsonl(*pages: list[bytes], compression: str | None = None) -> bytes:
    return b"".join(encode((page_of(page) for page in pages), "jsonl", compression))


def test_objects_are_written_byte_for_byte() -> None:
    lines = [raw for raw in ODD_RAWS if b"\n" not in raw]
    assert jsonl(lines[:3], [], lines[3:]) == b"".join(raw + b"\n" for raw in lines)


def test_an_object_on_several_lines_is_written_on_one() -> None:
    pretty = ODD_RAWS[-1]
    written = jsonl([ODD_RAWS[0], pretty, ODD_RAWS[1]])
    assert written.split(b"\n")[::2] == [ODD_RAWS[0], ODD_RAWS[1]]
    assert b"\r" not in written
    assert json.loads(written.split(b"\n")[1]) == json.loads(pretty)
    assert len(written.splitlines()) == 3


def test_a_file_without_messages_is_valid_and_has_no_lines() -> None:
    assert jsonl() == b""
    assert gzip.decompress(jsonl(compression="gzip")) == b""
    assert zstandard.decompress(jsonl(compression="zstd")) == b""


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_files_contain_the_same_lines_in_equal_bytes(compression: str) -> None:
    raws = [b'{"id":"%d","body":"%s"}' % (number, b"x%d" % number * 40) for number in range(20_000)]
    written = jsonl(raws, compression=compression)
    plain = (
        gzip.decompress(written)
        if compression == "gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress(written)
    )
    assert plain == b"".join(raw + b"\n" for raw in raws)
    # The bytes depend neither on how the pages were cut nor on the time.
    in_pages = jsonl(*([raws[start : start + 777] for start in range(0, len(raws), 777)]), compression=compression)
    assert in_pages == written


def test_the_gzip_header_has_neither_time_nor_name() -> None:
    header = jsonl([b'{"id":"1"}'], compression="gzip")[:10]
    assert header[:3] == b"\x1f\x8b\x08"
    assert header[3] == 0, "flags: no name, no comment"
    assert header[4:8] == bytes(4), "time"


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.text() | st.lists(st.integers()), min_size=1),
    st.sampled_from([None, 0, 3]),
)
def test_one_line_changes_white_space_only(fields: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(fields, indent=indent).encode()
    line = one_line(text)
    assert b"\n" not in line
    assert line == (text if indent is None else json.dumps(fields, separators=(",", ":")).encode())


def test_one_line_keeps_repeated_names_and_unusual_spellings() -> None:
    raw = b'{ "a" : 1.50,\r\n "a" : 1E+2, "b c" : "\\u0041 \\" \\\\" }'
    assert one_line(raw) == b'{"a":1.50,"a":1E+2,"b c":"\\u0041 \\" \\\\"}'
    half_a_pair = b'{ "a" : 1.50,\n "b c" : "\\ud83d \\" \\\\" }'
    assert one_line(half_a_pair) == b'{"a":1.50,"b c":"\\ud83d \\" \\\\"}'
