# SPDX-License-Identifier: Apache-2.0
"""ConversationToS3Operator with recorded responses, while all but the network to the S3 server is blocked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from vcr.cassette import Cassette as Replay

from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from dev.live import cassettes
from tests.transfers.bucket_contents import Bucket


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """Replay only requests to iP.1."""
    return {"record_mode": "none", "ignore_localhost": True}


@pytest.mark.vcr
@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
@pytest.mark.parametrize("cassette_name", ["sandbox/conversation_pages", "documentation/link_without_semicolon"])
def test_conversation_to_s3_operator(
    bucket: Bucket,
    operator: Callable[..., ConversationToS3Operator],
    cassette: cassettes.Cassette,
    vcr: Replay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", json.dumps({"conn_type": "ip1", "password": "any-key"}))
    recorded = {row["id"]: row for exchange in cassette.exchanges for row in exchange.messages}
    page_size = cassette.call.hook["page_size"]
    result = operator(page_size=page_size, concurrency=1, **cassette.call.arguments).execute({})
    lines = (bucket.get("out.jsonl") or b"").splitlines()
    assert [json.loads(line) for line in lines] == list(recorded.values())
    assert result["messages"] == len(recorded)
    assert vcr.all_played
