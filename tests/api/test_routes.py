# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ip1.api.routes import Route, routes_of
from airflow_provider_ip1.exceptions import IP1ResponseError

NUMBER, SALON = "46701740605", "Salon"


def raw(**fields: Any) -> bytes:
    return json.dumps({"id": "a1"} | fields).encode()


@pytest.mark.parametrize(
    ("fields", "participant", "direction", "route"),
    [
        # The messages of a batch: the participant is the other side.
        ({"direction": "MT", "sender": SALON, "recipient": NUMBER}, None, None, Route("mt", NUMBER)),
        ({"direction": "mo", "sender": NUMBER, "recipient": SALON}, None, None, Route("mo", NUMBER)),
        ({"sender": SALON, "recipient": NUMBER}, None, "mt", Route("mt", NUMBER)),
        ({"sender": SALON, "recipient": NUMBER}, None, None, Route(None, None)),
        # A conversation: its participant, and a direction that follows from the addresses.
        ({"sender": SALON, "recipient": NUMBER}, NUMBER, None, Route("mt", NUMBER)),
        ({"sender": f"+{NUMBER}", "recipient": SALON}, NUMBER, None, Route("mo", NUMBER)),
        ({"sender": "salon", "recipient": NUMBER}, SALON, None, Route("mo", SALON)),
        # A value of another type than documented.
        ({"direction": "MT", "sender": 5, "recipient": NUMBER}, None, None, Route("mt", NUMBER)),
        ({"direction": [], "sender": SALON, "recipient": NUMBER}, NUMBER, "mt", Route("mt", NUMBER)),
        ({"direction": [], "sender": SALON, "recipient": NUMBER}, NUMBER, None, Route("mt", NUMBER)),
    ],
)
def test_routes(fields: dict[str, Any], participant: str | None, direction: str | None, route: Route) -> None:
    assert routes_of([raw(**fields)] * 2, participant=participant, direction=direction) == [route] * 2


def test_a_message_that_is_not_an_object() -> None:
    with pytest.raises(IP1ResponseError):
        routes_of([b"[]"], participant=None, direction=None)
