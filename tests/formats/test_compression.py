# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.formats.compression import choose_compression, compress, in_blocks


@pytest.mark.parametrize(
    ("file_format", "compression", "key", "chosen"),
    [
        ("jsonl", "infer", "a/b.jsonl", None),
        ("jsonl", "infer", "a/b.jsonl.gz", "gzip"),
        ("jsonl", "infer", "a/b.JSONL.GZ", "gzip"),
        ("jsonl", "infer", "a/b.zst", "zstd"),
        ("jsonl", "infer", "a.gz/b", None),
        ("jsonl", "gzip", "a/b", "gzip"),
        ("jsonl", "zstd", "a/b.zst", "zstd"),
        ("jsonl", None, "a/b.jsonl", None),
        ("csv", "infer", "a/b.csv.zst", "zstd"),
        ("parquet", "infer", "a/b.parquet", "zstd"),
        ("parquet", "infer", "a/b.snappy.parquet", "snappy"),
        ("parquet", "infer", "a/b.gz.parquet", "gzip"),
        ("parquet", "infer", "a/b.parquet.gz", "gzip"),
        ("parquet", "snappy", "a/b.parquet", "snappy"),
        ("parquet", None, "a/b.parquet", None),
    ],
)
def test_chosen_compression(file_format: str, compression: str | None, key: str, chosen: str | None) -> None:
    assert choose_compression(file_format, compression, key) == chosen


@pytest.mark.parametrize(
    ("file_format", "compression", "key", "named"),
    [
        ("xml", "infer", "a", "file_format"),
        ("jsonl", "lz4", "a", "compression"),
        ("jsonl", "GZIP", "a", "compression"),
        ("jsonl", "snappy", "a", "compression"),
        ("jsonl", "infer", "a.snappy", "compression"),
        ("jsonl", "zstd", "a.jsonl.gz", "compression"),
        ("csv", None, "a.csv.gz", "compression"),
        ("jsonl", "infer", "a.parquet", "s3_key"),
        ("parquet", "infer", "a.csv.gz", "s3_key"),
    ],
)
def test_an_error_names_the_argument(file_format: str, compression: str | None, key: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        choose_compression(file_format, compression, key, "s3_key")


@given(st.lists(st.binary(max_size=30)), st.integers(min_value=1, max_value=17))
def test_blocks_contain_the_same_bytes_in_equal_sizes(chunks: list[bytes], size: int) -> None:
    blocks = list(in_blocks(chunks, size))
    assert b"".join(blocks) == b"".join(chunks)
    assert all(len(block) == size for block in blocks[:-1])
    assert all(0 < len(block) <= size for block in blocks[-1:])


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_the_compressed_bytes_do_not_depend_on_the_cuts(compression: str) -> None:
    # Texts as varied as real ones. With repetitive texts, even a compressor that depends on the cuts would pass.
    rng = Random(1)
    words = [f"{rng.getrandbits(32):x}" for _ in range(3000)]
    text = " ".join(rng.choice(words) for _ in range(200_000)).encode()
    written = {
        b"".join(compress((text[start : start + size] for start in range(0, len(text), size)), compression))
        for size in (1000, 50_000, len(text))
    }
    assert len(written) == 1
