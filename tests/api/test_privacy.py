# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_ip1.api.privacy import mask_conversation_paths, mask_number
from tests.api.json_values import OTHER_NUMBER, PARTICIPANT


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (PARTICIPANT, "46***05"),
        ("+46 70-174 06 05", "46***05"),
        ("070-174 06 05", "07***05"),
        ("(070) 174 06 05", "07***05"),
        ("+46\u2011701\u201174\u00a006\u200b05", "46***05"),
        ("\uff14\uff16\uff17\uff10\uff11\uff17\uff14\uff10\uff16\uff10\uff15", "46***05"),
        ("call \uff0b46\uff0d701740605 now", "call 46***05 now"),
        ("71210", "71***10"),
        ("1177", "***"),
        ("iP1", "iP1"),
        ("Company name", "Company name"),
        ("Bank24", "Bank24"),
        ("Taxi 123456", "Taxi 123456"),
        ("Taxi 1234567", "Taxi 12***67"),
        (f"no route to {PARTICIPANT}, {OTHER_NUMBER}", "no route to 46***05, 46***06"),
        ("", ""),
    ],
)
def test_masks_numbers_and_keeps_names(text: str, masked: str) -> None:
    assert mask_number(text) == masked


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
