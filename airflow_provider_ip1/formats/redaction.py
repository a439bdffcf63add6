# SPDX-License-Identifier: Apache-2.0
"""Removes personal data from an export, in the same way for every format."""

from __future__ import annotations

import dataclasses
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import repeat
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike, parse_json
from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.phone import PhoneNumber, may_contain, phone_digits
from airflow_provider_ip1.api.routes import Route, normalize_address
from airflow_provider_ip1.formats.table import COLUMNS

# The order is how much each action reveals of a number, the least first.
Action = Literal["drop", "hash", "mask"]
ACTIONS: Final = get_args(Action)

_MASK: Final = "***"
# Fields whose text identifies a person or a message. Elsewhere, a time or a status code reveals nothing.
_IDENTIFYING: Final = frozenset({"id", "batchId", "owner", "sender", "recipient", "body", "reference"})
# Shorter names are too likely to be something else, or below the second limit part of another word.
_SHORTEST_NAME: Final = 3
_LONG_NAME: Final = 7
_JSON_NULL: Final = b"null"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


_Replace: TypeAlias = Callable[[str, bool], str]


class _Status(msgspec.Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    code: int
    duration: int | None = None
    created: datetime | None = None


_STATUSES = msgspec.json.Decoder(list[_Status] | None)
_STATUS_FIELDS: Final = frozenset(_Status.__struct_fields__)


_RULE_NAMES: Final = {"participant": "participant"} | {
    spelling: column.source
    for column in COLUMNS
    if column.source in DOCUMENTED_FIELDS
    for spelling in (column.name, column.source)
}
"""Each spelling of a field, iP.1's and the column's, and iP.1's."""
_BY_LETTERS: Final = {name.lower(): name for name in _RULE_NAMES.values()}


def check_rules(redact: Mapping[str, str] | None) -> dict[str, str]:
    """
    Check the operator's ``redact`` argument.

    :param redact: field -> action; ``None`` to redact nothing.
    :return: the rules, with iP.1's names of the fields.
    :raises ValueError: a field or an action does not exist. The message names the field or the action.
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
            raise ValueError(f"redact: {field!r} occurs twice, with different actions.")
    return rules


@lru_cache(maxsize=1024)
def _documented_name(name: str) -> str:
    """Return the documented name of a field that iP.1 might spell differently, such as ``Sender`` or ``batch_id``."""
    return _BY_LETTERS.get(name.replace("_", "").replace("-", "").lower(), name)


@dataclass(frozen=True)
class RedactedPage:
    """
    The messages of a page after redaction.

    :param original: the page before redaction.
    :param raws: the redacted JSON object of each message.
    :param redaction: what was redacted.
    """

    original: Page = dataclasses.field(repr=False)
    raws: Sequence[bytes] = dataclasses.field(repr=False)
    redaction: Redaction = dataclasses.field(repr=False)

    @cached_property
    def raws_with_ids(self) -> Sequence[bytes]:
        """The redacted messages in a form that can be decoded, with a placeholder for an id that was dropped."""
        if not self.redaction.drops_ids:
            return self.raws
        return [b'{"id":"-"' + (raw[1:] if raw == b"{}" else b"," + raw[1:]) for raw in self.raws]

    @cached_property
    def routes(self) -> list[Route]:
        """The redacted route of each message, which redacted addresses no longer reveal."""
        return [self.redaction.redact_route(route) for route in self.original.routes]


class Redaction:
    """
    Replaces fields of messages.

    * ``drop``: the field is left out (JSON Lines) or null (csv, parquet).
    * ``hash``: HMAC-SHA256 as 64 hexadecimal digits. A phone number is hashed as its digits with country code, so it
      has the same hash in every notation. Any other text is hashed as it is, in UTF-8; any other value as its JSON.
    * ``mask``: a phone number of seven digits or more keeps its first and last two, such as ``46***05``. Anything else
      becomes ``***``.

    A null stays null. A redacted phone number is also replaced, in any notation, in the other fields of the same
    message, such as the body, and in the names of fields. Any other redacted text is also replaced in fields that iP.1
    does not document, including those of the statuses. A redacted field that is not a text in the table (a time, a
    price) is null there, and its hash or mask is in the column ``extra``.

    The participant of a conversation is the sender or the recipient of each message. So a rule for ``participant`` also
    holds for that field, or for both if neither is the participant, unless the field itself has a rule. Without a rule
    for ``participant``, the column of this name follows the stricter one of the rules for ``sender`` and ``recipient``
    (``drop``, then ``hash``, then ``mask``).

    :param rules: the rules that :func:`check_rules` returns.
    :param key: the key for ``hash``.
    """

    def __init__(self, rules: Mapping[str, str], key: bytes = b"") -> None:
        self._rules = rules
        # The participant is the sender or the recipient, so the column must not reveal what a rule for these hides.
        by_address = {rules.get("sender"), rules.get("recipient")}
        self._participant_action = rules.get("participant") or next(
            (action for action in ACTIONS if action in by_address), None
        )
        # Numbers and names repeat in a conversation.
        self._hash = lru_cache(maxsize=4096)(lambda text: keyed_hash(key, text))
        self._replacer = lru_cache(maxsize=4096)(_replacer)
        self._matched: set[str] = set()

    @property
    def unmatched(self) -> list[str]:
        """The fields with a rule for which no message so far had a value."""
        return sorted(self._rules.keys() - self._matched)

    def apply(self, page: Page) -> RedactedPage:
        """
        Redact the messages of a page.

        :param page: the messages as iP.1 sent them.
        :return: the redacted messages.
        """
        participants: Iterable[str | None] = repeat(page.participant)
        if page.participant is None and "participant" in self._rules:
            participants = [route.participant for route in page.routes]
        return RedactedPage(page, list(map(self._redact, page.raws, participants)), self)

    @property
    def hides_participants(self) -> bool:
        """Whether the redacted messages do not show the participants."""
        return self._participant_action is not None

    @property
    def drops_ids(self) -> bool:
        """Whether redacted messages have no ids."""
        return self._rules.get("id") == "drop"

    def redact_route(self, route: Route) -> Route:
        """
        Redact the direction and the other side of a message.

        :param route: the route of the message as iP.1 sent it.
        :return: what the redacted message may reveal of it.
        """
        direction, participant = route
        if "direction" in self._rules or direction not in ("mt", "mo"):
            direction = None
        action = self._participant_action
        if participant is not None and action is not None:
            self._matched.add("participant")
            participant = None if action == "drop" else self._replacement(action, participant)
        return Route(direction, participant)

    def _replacement(self, action: str, text: str) -> str:
        if action == "hash":
            return self._hash(text)
        digits = phone_digits(text) if action == "mask" else None
        return _MASK if digits is None else f"{digits[:2]}{_MASK}{digits[-2:]}"

    def _redact(self, raw: BytesLike, participant: str | None) -> bytes:
        fields = _fields(raw)
        hidden: list[tuple[str, str]] = []
        is_documented = fields.keys() <= DOCUMENTED_FIELDS
        rules = self._rules if "participant" not in self._rules else self._with_addresses(fields, participant)
        for name in rules if is_documented else list(fields):
            field = _documented_name(name)
            action, value = rules.get(field), fields.get(name)
            if action is None or value is None or bytes(value) == _JSON_NULL:
                continue
            self._matched.add(field)
            text = _text(value)
            if participant is not None and field in ("sender", "recipient"):
                text = _with_country_code(text, participant)
            replacement = self._replacement(action, text)
            if action == "drop":
                del fields[name]
            else:
                fields[name] = msgspec.Raw(_encode(replacement))
            if field in _IDENTIFYING:
                hidden.append((text, replacement))
        redacted = _object(fields)
        if not hidden:
            return redacted
        has_number = may_contain(redacted, [text for text, _ in hidden])
        if has_number or not is_documented or not _is_documented(fields.get("statuses")):
            replacers = [self._replacer(text, replacement) for text, replacement in hidden]
            redacted = _object(self._scrub(fields, rules, replacers, has_number))
        return redacted

    def _with_addresses(self, fields: Mapping[str, msgspec.Raw], participant: str | None) -> Mapping[str, str]:
        """Apply the rule for the participant to the address that is the participant, or to both if neither is known."""
        addresses = {
            field: _with_country_code(_text(value), participant or "")
            for name, value in fields.items()
            if (field := _documented_name(name)) in ("sender", "recipient") and bytes(value) != _JSON_NULL
        }
        known = normalize_address(participant or "")
        found = [field for field, address in addresses.items() if normalize_address(address) == known] or addresses
        if found:
            self._matched.add("participant")
        return {**dict.fromkeys(found, self._rules["participant"]), **self._rules}

    def _scrub(
        self,
        fields: Mapping[str, msgspec.Raw],
        rules: Mapping[str, str],
        replacers: Sequence[_Replace],
        has_number: bool,
    ) -> dict[str, msgspec.Raw]:
        """Replace the redacted texts in the fields without a rule, and in the names of undocumented fields."""
        scrubbed = {}
        for name, value in fields.items():
            if _documented_name(name) in rules:
                scrubbed[name] = value
            elif name not in DOCUMENTED_FIELDS:
                new_name = _replaced(name, replacers, is_documented=False)
                scrubbed[new_name] = _scrubbed(value, replacers, is_documented=False)
            elif name == "statuses":
                scrubbed[name] = _scrubbed(value, replacers, is_documented=False, kept=_STATUS_FIELDS)
            else:
                scrubbed[name] = _scrubbed(value, replacers, is_documented=True) if has_number else value
        return scrubbed


def _replacer(text: str, replacement: str) -> _Replace:
    """Return a function that replaces a redacted text in another text: a name only where iP.1 documents no text."""
    digits = phone_digits(text)
    if digits is not None:
        number = PhoneNumber(digits)
        return lambda other, _is_documented: number.replace_in(other, replacement)
    if len(text) < _SHORTEST_NAME:
        return lambda other, _is_documented: other
    pattern = re.escape(text) if len(text) >= _LONG_NAME else rf"(?<!\w){re.escape(text)}(?!\w)"
    name = re.compile(pattern, re.IGNORECASE)
    return lambda other, is_documented: other if is_documented else name.sub(lambda _: replacement, other)


def _fields(raw: BytesLike) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(raw)
    except UNDECODABLE:
        # Half a UTF-16 pair as an escape is valid JSON, but msgspec rejects it.
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in parse_json(raw).items()}


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
    except UNDECODABLE:
        pass
    written = bytes(value).decode()
    # A text with half a UTF-16 pair, or a value that is not text.
    return str(json.loads(written)) if written[:1] == '"' else written


@lru_cache(maxsize=4096)
def _with_country_code(text: str, participant: str) -> str:
    """Return the participant if the text is its number without country code."""
    digits = phone_digits(text)
    known = phone_digits(participant)
    is_same = digits and known and digits.removeprefix("0") == PhoneNumber(known).national
    return participant if is_same else text


def keyed_hash(key: bytes, text: str) -> str:
    """
    Return what ``hash`` makes of a text.

    :param key: the connection's ``redact_key``, in UTF-8.
    :param text: the text. A phone number has the same hash in every notation.
    """
    return hmac.digest(key, (phone_digits(text) or text).encode("utf-8", "surrogatepass"), "sha256").hex()


def _is_documented(statuses: msgspec.Raw | None) -> bool:
    if statuses is None:
        return True
    try:
        _STATUSES.decode(statuses)
    except UNDECODABLE:
        return False
    return True


def _scrubbed(
    value: msgspec.Raw, replacers: Sequence[_Replace], *, is_documented: bool, kept: frozenset[str] = frozenset()
) -> msgspec.Raw:
    before = parse_json(value)
    after = _replaced(before, replacers, is_documented, kept)
    return value if after == before else msgspec.Raw(json.dumps(after).encode())


def _replaced(
    value: Any, replacers: Sequence[_Replace], is_documented: bool, kept: frozenset[str] = frozenset()
) -> Any:
    match value:
        case str():
            for replace in replacers:
                value = replace(value, is_documented)
            return value
        case list():
            return [_replaced(item, replacers, is_documented, kept) for item in value]
        case dict():
            return {
                name if name in kept else _replaced(name, replacers, is_documented): _replaced(
                    item, replacers, is_documented or name in kept
                )
                for name, item in value.items()
            }
        case bool() | None:
            return value
    text = _replaced(str(value), replacers, is_documented)
    return value if text == str(value) else text
