# SPDX-License-Identifier: Apache-2.0
"""Which messages a task waits for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.requests import check_id, normalize_participant

_COMBINATIONS: Final[Mapping[frozenset[str], str]] = {
    frozenset({"batch_id", "message_id"}): "batch_id and message_id",
    frozenset({"participant", "message_id"}): "participant and message_id",
    frozenset({"participant", "reference"}): "participant and reference",
    frozenset({"batch_id"}): "batch_id alone",
}
_SHOWN_REFERENCE = 60


def check_target(names: Set[str]) -> None:
    """
    Check that the given arguments together select messages.

    :param names: the names of those arguments among ``participant``, ``batch_id``, ``message_id`` and ``reference``
        that have a value.
    :raises ValueError: this combination does not select messages. The error lists the combinations that do.
    """
    if frozenset(names) not in _COMBINATIONS:
        raise ValueError(
            f"Say which messages to watch with {', '.join(_COMBINATIONS.values())}. "
            f"Given: {', '.join(sorted(names)) or 'none of them'}."
        )


@dataclass(frozen=True, slots=True)
class Target:
    """
    The messages to watch.

    They are selected by (batch_id, message_id), (participant, message_id), (participant, reference) or batch_id alone.

    :param participant: phone number with country code, or sender name. The messages are in the conversation with it.
    :param batch_id: id of a batch.
    :param message_id: id of a message.
    :param reference: your own reference, given when the messages were sent.
    :raises ValueError: the arguments do not go together, or one of them is empty or not a string. The error names the
        argument.
    :raises IP1ParticipantError: the participant is empty or not a string.
    """

    participant: str | None = None
    batch_id: str | None = None
    message_id: str | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("participant", "batch_id", "message_id", "reference")}
        check_target({name for name, value in given.items() if value is not None})
        if self.participant is not None:
            object.__setattr__(self, "participant", normalize_participant(self.participant))
        for name in ("batch_id", "message_id"):
            if given[name] is not None:
                object.__setattr__(self, name, check_id(given[name], name))
        if self.reference is not None and (not isinstance(self.reference, str) or not self.reference):
            raise ValueError("reference must be a string that is not empty")

    def __repr__(self) -> str:
        return f"<Target: {self}>"

    def __str__(self) -> str:
        if self.message_id is not None:
            return f"message {self.message_id}"
        return f"batch {self.batch_id}" if self.reference is None else f"messages {self._selection}"

    def with_quantity(self, quantity: str) -> str:
        """
        Put a quantity of the messages into words.

        :param quantity: such as ``all messages``.
        :return: such as ``all messages of batch b``; a single message without the quantity.
        """
        return str(self) if self.is_single_message else f"{quantity} {self._selection}"

    @property
    def _selection(self) -> str:
        if self.reference is None:
            return f"of batch {self.batch_id}"
        return f"with reference {mask_number(self.reference)[:_SHOWN_REFERENCE]!r}"

    @property
    def is_single_message(self) -> bool:
        """Whether this is one message, selected by its id. A batch or a reference can stand for any number."""
        return self.message_id is not None

    @property
    def digest(self) -> str:
        """A hash that differs between targets. It does not reveal the phone number."""
        values = (self.participant, self.batch_id, self.message_id, self.reference)
        return hashlib.sha256(repr(values).encode()).hexdigest()
