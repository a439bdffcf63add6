# SPDX-License-Identifier: Apache-2.0
"""Messages, pages and watches for the tests in this folder."""

from __future__ import annotations

from typing import Any

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.watching.status_rule import StatusRule
from airflow_provider_ip1.api.watching.target import Target
from airflow_provider_ip1.api.watching.watch import PollResult, Query, ReadMessage, Watch

NUMBER = "46701740609"


def make_message(
    message_id: str, *codes: int, batch_id: str | None = "b", reference: str | None = None, **status: Any
) -> Message:
    """Make a message whose statuses are one second apart."""
    return decode_message(
        {
            "id": message_id,
            "batchId": batch_id,
            "recipient": NUMBER,
            "reference": reference,
            "statuses": [
                {"code": code, "created": f"2026-11-01T10:00:{second:02}Z", **status}
                for second, code in enumerate(codes)
            ],
        }
    )


def make_page(*messages: Message) -> Page:
    return Page(
        NUMBER, None, 0, 0, tuple(each.id for each in messages), tuple(each.raw_json for each in messages), None
    )


def make_watch(target: Target | None = None, require: Any = "all", **options: Any) -> Watch:
    """Watch a target, by default batch ``b``, until it is delivered."""
    rule = StatusRule.from_arguments(options.pop("expected", "delivered"), options.pop("failed", None))
    return Watch(target or Target(batch_id="b"), rule, require, **options)


def poll(watch: Watch, *responses: Any, singles: dict[str, Message] | None = None) -> tuple[PollResult, list[Query]]:
    """
    Run one poll.

    :param watch: the watch.
    :param responses: the pages or messages that iP.1 lists.
    :param singles: the messages that can be read by their ids.
    :return: its result, and its queries.
    """
    steps = watch.poll()
    step = next(steps)
    queries: list[Query] = []
    while not isinstance(step, PollResult):
        queries.append(step)
        query = step
        found = (singles or {}).get(query.message_id) if isinstance(query, ReadMessage) else None
        for response in [found] if isinstance(query, ReadMessage) else [*responses, None]:
            step = steps.send(response)
            if step is not query:
                break
    return step, queries
