# SPDX-License-Identifier: Apache-2.0
"""The paths of conversations in the logs of the HTTP libraries show no complete number."""

from __future__ import annotations

import pytest

from airflow_provider_ip1.client.logs import mask_conversation_paths

PARTICIPANT = "46701740605"
OTHER_NUMBER = "46701740606"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"GET /v2/conversations/{PARTICIPANT}/mt?start=0", "GET /v2/conversations/46***05/mt?start=0"),
        ("https://api/v2/Conversations/%2B46701740605", "https://api/v2/Conversations/46***05"),
        ("/v2/conversations/Company%20name/summary", "/v2/conversations/Company%20name/summary"),
        (
            f'"/conversations/{PARTICIPANT}" and /conversations/{OTHER_NUMBER}',
            '"/conversations/46***05" and /conversations/46***06',
        ),
        ("/v2/batches/5bcf4324f1a1d30d0c9a4a00", "/v2/batches/5bcf4324f1a1d30d0c9a4a00"),
    ],
)
def test_masks_the_participant_in_paths(text: str, masked: str) -> None:
    assert mask_conversation_paths(text) == masked
