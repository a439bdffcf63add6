# SPDX-License-Identifier: Apache-2.0
"""Polls of a server that lists messages of one creation time in an order that depends on the offset and the limit."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace

import pytest

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import conversation_lists
from airflow_provider_ip1.api.watching.status_watch import TIED, StatusWatch
from airflow_provider_ip1.api.watching.watch import PollResult
from tests.api.paging.model_server import ModelServer, pages_of, read_ahead
from tests.api.watching.watched_messages import NUMBER


@dataclass
class Conversation(ModelServer):
    """A list of messages with their references."""

    references: dict[str, str] = field(default_factory=dict)

    def respond(self, *arguments: object, **options: object) -> RawPage:
        page = super().respond(*arguments, **options)  # type: ignore[arg-type]
        assert isinstance(page, RawPage)
        raws = [json.dumps({"id": row, "batchId": "b", "reference": self.references.get(row)}) for row in page.ids]
        return replace(page, raws=[raw.encode() for raw in raws])


def found_by(watch: StatusWatch, server: Conversation, page_size: int) -> set[str]:
    steps = watch.poll()
    query = next(steps)
    ahead = read_ahead(conversation_lists([NUMBER], order="DESC"), page_size, 1)
    for page in [*pages_of(ahead, {NUMBER: server}, 1), None]:
        if (step := steps.send(page)) is not query:
            break
    assert isinstance(step, PollResult)
    return {message["message_id"] for message in step.messages}


@pytest.mark.parametrize("tied", [2, 3, 5, TIED])
@pytest.mark.parametrize("link_style", ["rfc8288", "none"])
def test_a_search_finds_a_message_that_is_tied_with_the_newest(tied: int, link_style: str) -> None:
    for seed in range(40):
        choose = random.Random(seed)
        rows = [f"row{number}" for number in range(choose.randint(1, 15) * tied - choose.randint(1, tied - 1))]
        server = Conversation(rows, order="DESC", link_style=link_style, tied=tied, tied_order="request")
        page_size = choose.randint(2, 30)
        watch = StatusWatch(participant=NUMBER, reference="r")
        assert found_by(watch, server, page_size) == set()
        # It has the time of the newest message.
        server.insert(len(rows), 1)
        server.references["new0"] = "r"
        assert found_by(watch, server, page_size) == {"new0"}, seed
