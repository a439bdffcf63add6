# SPDX-License-Identifier: Apache-2.0
"""Messages, pages and watches for the tests in this folder."""

from __future__ import annotations

import json
import logging
from typing import Any

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.watching.status_watch import StatusWatch
from airflow_provider_ip1.api.watching.watch import PollResult, Query, ReadMessage

NUMBER = "46701740609"


def make_message(
    message_id: str, *codes: int, batch_id: str | None = "b", reference: str | None = None, **status: Any
) -> Message:
    """Make a message whose statuses are one second apart."""
    fields = {
        "id": message_id,
        "batchId": batch_id,
        "recipient": NUMBER,
        "reference": reference,
        "statuses": [
            {"code": code, "created": f"2026-11-01T10:00:{second:02}Z", **status} for second, code in enumerate(codes)
        ],
    }
    return decode_message(json.dumps(fields).encode())


def make_page(*messages: Message) -> Page:
    return Page(
        NUMBER, None, 0, 0, tuple(each.id for each in messages), tuple(each.raw_json for each in messages), None
    )


class Lines(list[tuple[int, str]]):
    """A log that keeps its lines."""

    def info(self, event: str, /, *args: Any) -> None:
        self.append((logging.INFO, event % args))

    def warning(self, event: str, /, *args: Any, **options: Any) -> None:
        self.append((logging.WARNING, event % args))


def make_watch(**options: Any) -> StatusWatch:
    """Watch messages, by default those of batch ``b``, until they are delivered."""
    selects = {"batch_id", "participant"} & options.keys()
    return StatusWatch(**options) if selects else StatusWatch(batch_id="b", **options)


def poll(
    watch: StatusWatch, *responses: Any, singles: dict[str, Message] | None = None
) -> tuple[PollResult, list[Query]]:
    """
    Run one poll.

    :param watch: the watch.
    :param responses: the pages that iP.1 lists; for a batch, the messages of its only page.
    :param singles: the messages that can be read by their ids.
    :return: its result, and its queries.
    """
    steps = watch.poll()
    step = next(steps)
    queries: list[Query] = []
    while not isinstance(step, PollResult):
        queries.append(step)
        query = step
        listed = [make_page(*responses)] if watch.participant is None and responses else responses
        found = (singles or {}).get(query.message_id) if isinstance(query, ReadMessage) else None
        for response in [found] if isinstance(query, ReadMessage) else [*listed, None]:
            step = steps.send(response)
            if step is not query:
                break
    return step, queries
