# SPDX-License-Identifier: Apache-2.0
"""The operator's ``participant`` argument: one participant or a list of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from airflow_provider_ip1.api.requests import normalize_participants


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
    texts = [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in values]
    if not texts or not all(isinstance(text, str) and text.strip() not in ("", "None") for text in texts):
        raise ValueError("participant: must be a phone number, a sender name or a list of them, and not empty.")
    if any(text.lstrip().startswith(("[", "(")) for text in texts):
        raise ValueError(
            "participant: a template rendered a list as text. Set render_template_as_native_obj=True on the DAG, or "
            "pass the list itself, such as the output of a task."
        )
    return tuple(dict.fromkeys(normalize_participants(texts)))
