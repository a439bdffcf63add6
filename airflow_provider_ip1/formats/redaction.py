# SPDX-License-Identifier: Apache-2.0
"""Keeping personal data out of an export, in the same way for every format."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from airflow_provider_ip1.api.json_text import BytesLike
from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS
from airflow_provider_ip1.api.paging import Page
from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.formats.redacted_page import RedactedPage

Action = Literal["drop", "hash", "mask"]
ACTIONS: Final = ("drop", "hash", "mask")

_MASK: Final = "***"
# In digits. Shorter ones are short codes, or part of other numbers; no phone number is longer (ITU-T E.164).
_SHORTEST_NUMBER: Final = 7
_LONGEST_NUMBER: Final = 15
# In characters, with all separators that people write.
_LONGEST_WRITTEN_NUMBER: Final = 40
_NUMBER = re.compile(r"[+(]*[0-9](?:[\s().\-/]*[0-9])*")
# Fields whose texts point at a person or a message. A time or a status code says nothing by itself elsewhere.
_IDENTIFYING: Final = frozenset({"id", "batchId", "owner", "sender", "recipient", "body", "reference"})
_JSON_NULL: Final = b"null"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def _snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


API_NAMES: Final[Mapping[str, str]] = {
    spelling: name for name in sorted(DOCUMENTED_FIELDS) for spelling in (name, _snake_case(name))
}
"""Each spelling of a field, iP.1's and the column's, and iP.1's."""
_RULE_NAMES: Final = {**API_NAMES, "participant": "participant"}
# By how much each action reveals of a number, the least first.
_STRICTEST_FIRST: Final = ("drop", "hash", "mask")


def check_rules(redact: Mapping[str, str] | None) -> dict[str, str]:
    """
    Check the operator's ``redact``.

    :param redact: field -> action; ``None`` for nothing to redact.
    :return: the same under iP.1's names of the fields.
    :raises ValueError: a field that messages do not have, or an action that does not exist; names it.
    """
    if redact is None:
        return {}
    if not isinstance(redact, Mapping):
        raise ValueError(f"redact: must map fields to actions, not be of type {type(redact).__name__}.")
    rules: dict[str, str] = {}
    for field, action in redact.items():
        name = _RULE_NAMES.get(field) if isinstance(field, str) else None
        if name is None:
            raise ValueError(
                f"redact: messages have no field {field!r}. They have {', '.join(sorted({*_RULE_NAMES.values()}))}."
            )
        if action not in ACTIONS:
            raise ValueError(f"redact: {action!r} for {field!r} is not one of {', '.join(ACTIONS)}.")
        if rules.setdefault(name, action) != action:
            raise ValueError(f"redact: {field!r} is named twice, with different actions.")
    return rules


class Redaction:
    """
    Replaces fields of messages.

    * ``drop``: the field is left out (JSON Lines) or null (csv, parquet).
    * ``hash``: HMAC-SHA256 as 64 hexadecimal digits. A phone number is hashed as its digits with country code, without
      ``+``, ``00`` or separators, so that it has one hash however it is written. Any other text is hashed as it is, in
      UTF-8; what is no text, as its JSON.
    * ``mask``: a phone number of seven digits or more keeps its first and last two, such as ``46***05``; anything
      else becomes ``***``.

    A null stays null. Where a redacted phone number stands in another field of the same message, say in the body, it is
    replaced there too; so is any other redacted text of at least seven characters in a field that iP.1 does not
    document. A redacted field that is not a text in the table (a time, a price) is null there, and its hash or mask
    is in the column ``extra``.

    The column ``participant`` follows the rule for ``participant``. Without one it follows the rules for ``sender`` and
    ``recipient``, since the participant is one of the two: the stricter one if they differ (``drop``, then ``hash``,
    then ``mask``).

    :param rules: what :func:`check_rules` gives.
    :param key: for ``hash``.
    """

    def __init__(self, rules: Mapping[str, str], key: bytes = b"") -> None:
        self._rules = rules
        # The participant is the sender or the recipient, so the column must not reveal what a rule for these hides.
        by_address = {rules.get("sender"), rules.get("recipient")}
        self._participant_action = rules.get("participant") or next(
            (action for action in _STRICTEST_FIRST if action in by_address), None
        )
        # Numbers and names repeat in a conversation.
        self._hash = lru_cache(maxsize=4096)(lambda text: _hash(key, text))

    def apply(self, page: Page) -> RedactedPage:
        """
        Redact the messages of a page.

        :param page: the messages as iP.1 sent them.
        :return: the redacted messages.
        """
        return RedactedPage(
            page,
            [self._redact(raw) for raw in page.raws],
            self._redact_participant,
            hides_direction="direction" in self._rules,
            drops_ids=self._rules.get("id") == "drop",
        )

    def _redact_participant(self, participant: str) -> str | None:
        action = self._participant_action
        if action is None:
            return participant
        if action == "drop":
            return None
        return self._hash(participant) if action == "hash" else _mask(participant)

    def _redact(self, raw: BytesLike) -> bytes:
        fields = _fields(raw)
        replaced: list[tuple[str, str, str]] = []
        for name, action in self._rules.items():
            value = fields.get(name)
            if value is None or bytes(value) == _JSON_NULL:
                continue
            text = _text(value)
            if action == "drop":
                replacement = _MASK
                del fields[name]
            else:
                replacement = self._hash(text) if action == "hash" else _mask(text)
                fields[name] = msgspec.Raw(_encode(replacement))
            if name in _IDENTIFYING:
                replaced.append((name, text, replacement))
        redacted = _object(fields)
        if replaced and self._is_elsewhere(replaced, fields, redacted):
            redacted = _object(self._scrub(fields, replaced))
        return redacted

    def _is_elsewhere(
        self, replaced: list[tuple[str, str, str]], fields: Mapping[str, msgspec.Raw], redacted: bytes
    ) -> bool:
        if not fields.keys() <= DOCUMENTED_FIELDS:
            return True
        return any((digits := _digits(text)) and digits.encode() in redacted for _, text, _ in replaced)

    def _scrub(self, fields: Mapping[str, msgspec.Raw], replaced: list[tuple[str, str, str]]) -> dict[str, msgspec.Raw]:
        scrubbed = {}
        for name, value in fields.items():
            needles = {}
            if name not in self._rules:
                for _, text, replacement in replaced:
                    if digits := _digits(text):
                        needles[digits] = replacement
                    if name not in DOCUMENTED_FIELDS and len(text) >= _SHORTEST_NUMBER:
                        needles[text] = replacement
            scrubbed[name] = _replace(value, needles) if needles else value
        return scrubbed


def _fields(raw: BytesLike) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(raw)
    except ValueError:
        # Half a UTF-16 pair as an escape, which is valid JSON, but not for msgspec.
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in json.loads(bytes(raw)).items()}


def _object(fields: Mapping[str, msgspec.Raw]) -> bytes:
    try:
        return _encode(fields)
    except UnicodeEncodeError:
        # Half a UTF-16 pair in a name.
        members = (json.dumps(name).encode() + b":" + bytes(value) for name, value in fields.items())
        return b"{" + b",".join(members) + b"}"


def _text(value: msgspec.Raw) -> str:
    try:
        return _decode_text(value)
    except ValueError:
        pass
    written = bytes(value).decode()
    # A text with half a UTF-16 pair, or no text.
    return str(json.loads(written)) if written[:1] == '"' else written


def _digits(text: str) -> str | None:
    """The digits of a phone number, ``None`` for anything else."""
    return _digits_of_short(text) if len(text) <= _LONGEST_WRITTEN_NUMBER else None


@lru_cache(maxsize=4096)
def _digits_of_short(text: str) -> str | None:
    if not _NUMBER.fullmatch(text.strip()):
        return None
    digits = re.sub(r"[^0-9]", "", text).removeprefix("00")
    return digits if _SHORTEST_NUMBER <= len(digits) <= _LONGEST_NUMBER else None


def _hash(key: bytes, text: str) -> str:
    return hmac.digest(key, (_digits(text) or text).encode("utf-8", "surrogatepass"), "sha256").hex()


def _mask(text: str) -> str:
    return mask_number(text) if _digits(text) else _MASK


def _replace(value: msgspec.Raw, needles: Mapping[str, str]) -> msgspec.Raw:
    before = json.loads(bytes(value))
    after = _replaced(before, needles)
    return value if after == before else msgspec.Raw(json.dumps(after).encode())


def _replaced(value: Any, needles: Mapping[str, str]) -> Any:
    match value:
        case str():
            for needle, replacement in needles.items():
                value = value.replace(needle, replacement)
            return value
        case list():
            return [_replaced(item, needles) for item in value]
        case dict():
            return {_replaced(name, needles): _replaced(item, needles) for name, item in value.items()}
        case bool() | None:
            return value
    text = _replaced(str(value), needles)
    return value if text == str(value) else text
