# SPDX-License-Identifier: Apache-2.0
"""SendSmsOperator with a recorded response, while the network is blocked; see docs/internals/recordings.md."""

from __future__ import annotations

import json

import pytest

from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from dev.live import cassettes
from tests.operators.sent_batches import context


@pytest.mark.vcr
@pytest.mark.block_network
@pytest.mark.parametrize("cassette_name", ["sandbox/batch_sent"])
def test_send_sms_operator(cassette: cassettes.Cassette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", json.dumps({"conn_type": "ip1", "password": "any-key"}))
    result = SendSmsOperator(task_id="send", **cassette.call.arguments).execute(context())
    (exchange,) = cassette.exchanges
    assert result == {
        "batch_id": exchange.json["id"],
        "reference": exchange.json["reference"],
        "recipients": 2,
        "segments": 1,
        "reused": False,
    }
