# SPDX-License-Identifier: Apache-2.0
"""JSON Lines: one API object per line, as iP.1 sent it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from airflow_provider_ip1.api.messages import one_line
from airflow_provider_ip1.formats.batch import Batch


def write_jsonl(batches: Iterable[Batch]) -> Iterator[bytes]:
    r"""
    Write messages as JSON Lines, UTF-8, each line ended by ``\n``.

    A message's bytes are passed on untouched. Only line breaks between its JSON tokens are left out, since a line is
    a message; inside JSON texts they are always escaped (RFC 8259, section 7).

    :param batches: the messages.
    :return: the file's bytes; none at all for no messages.
    """
    for batch in batches:
        if batch.raws:
            yield _lines(batch.raws)


def _lines(raws: Sequence[Any]) -> bytes:
    lines = b"\n".join((*raws, b""))
    if lines.count(b"\n") == len(raws) and b"\r" not in lines:
        return lines
    return b"\n".join((*map(one_line, raws), b""))
