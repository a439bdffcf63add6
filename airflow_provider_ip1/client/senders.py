# SPDX-License-Identifier: Apache-2.0
"""The account's registered senders, for errors and warnings about the sender of an SMS."""

from __future__ import annotations

import math
from typing import Final

from airflow_provider_ip1.api.account import TRIAL_SENDERS, decode_sender, senders_text
from airflow_provider_ip1.api.paging.listing import account_list
from airflow_provider_ip1.api.requests import senders_request
from airflow_provider_ip1.client.base_client import BaseClient, Flow, ListReading, TimeIsUp
from airflow_provider_ip1.exceptions import IP1Error

_SECONDS: Final = 10.0


def registered_senders(client: BaseClient, deadline: float = math.inf) -> Flow[list[str] | None]:
    """
    Read the account's registered senders, for an error or a warning.

    :param client: makes the requests.
    :param deadline: of the client's clock. The flow takes ten seconds at most, whatever the deadline.
    :return: the senders; ``None`` if they cannot be read.
    """
    until = min(client.clock() + _SECONDS, deadline)
    senders, found = ListReading(client, account_list(senders_request())), list[str]()
    try:
        while (page := (yield from senders.next_page(until))) is not None:
            found += [decode_sender(raw).sender for raw in page.raws]
    except (TimeIsUp, IP1Error):
        return None
    return found


def check_connection(client: BaseClient) -> Flow[str]:
    """
    Check the base URL and the API key, and compare the sender of the connection with the registered ones.

    :param client: makes the requests.
    :return: what to show, with a warning if the sender may not be registered.
    :raises IP1Error: the server is not iP.1's API, or does not accept the key.
    """
    yield from client.prove_server()
    text, sender = f"{client.settings.base_url} accepted the API key.", client.settings.sender
    # iP.1 may not list the senders that a trial account has from the start.
    if sender is None or sender in TRIAL_SENDERS:
        return text
    known = yield from registered_senders(client)
    if known is not None and sender in known:
        return text
    return f"{text} Warning about 'sender': {senders_text(known, sender)}"
