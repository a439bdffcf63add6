# SPDX-License-Identifier: Apache-2.0
"""The operator's ``participant`` argument: one participant or a list of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from airflow_provider_ip1.api.requests import normalize_participants
from airflow_provider_ip1.template_values import refuse_printed_list, required_text


def participants_from_argument(value: Any) -> tuple[str, ...]:
    """
    Read the participants to export.

    :param value: a phone number with country code or a sender name, or a list of them. Integers are read as phone
        numbers, because native rendering of templates turns digits into integers.
    :return: the normalized participants in the given order, without duplicates.
    :raises ValueError: the value is empty or of another type.
    :raises IP1ParticipantError: one of them cannot be a participant.
    """
    # The order of a set differs from run to run.
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, Set))
    values = list(value) if is_list else [value]
    if not values:
        raise ValueError("participant: the list is empty. Give a phone number, a sender name or a list of them.")
    texts = [required_text(one, f"participant {at}" if is_list else "participant") for at, one in enumerate(values, 1)]
    for text in texts:
        refuse_printed_list(text, "participant")
    return tuple(dict.fromkeys(normalize_participants(texts)))
