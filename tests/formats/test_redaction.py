# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest

from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS
from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.formats.redaction import Redaction, check_rules
from airflow_provider_ip1.formats.table import COLUMN_NAMES
from tests.formats.odd_messages import ODD, ODD_RAWS, OWN_NUMBER, PARTICIPANT, USUAL, message, raw
from tests.formats.pages import page_of

KEY = b"a secret of this test"
FORMATS = ("jsonl", "csv", "parquet")


def digest(text: str) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def write(file_format: str, redact: dict[str, str], raws: Iterable[bytes]) -> bytes:
    redaction = Redaction(check_rules(redact), KEY)
    page = page_of(list(raws), participant=PARTICIPANT)
    # Without compression inside, so that a search through the bytes would find what must not be there.
    return b"".join(encode([redaction.apply(page)], file_format, None))


def read(file_format: str, data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]]
    if file_format == "jsonl":
        rows = [json.loads(line) for line in data.split(b"\n")[:-1]]
    elif file_format == "parquet":
        rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    else:
        texts = pyarrow.csv.ConvertOptions(
            column_types={name: pyarrow.string() for name in COLUMN_NAMES},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        newlines = pyarrow.csv.ParseOptions(newlines_in_values=True)
        rows = pyarrow.csv.read_csv(io.BytesIO(data), convert_options=texts, parse_options=newlines).to_pylist()
    return rows


def one(file_format: str, redact: dict[str, str], **changes: Any) -> dict[str, Any]:
    (row,) = read(file_format, write(file_format, redact, [raw(message(1, **changes))]))
    return row


@pytest.mark.parametrize("file_format", FORMATS)
def test_drop_hash_and_mask(file_format: str) -> None:
    row = one(file_format, {"body": "drop", "sender": "hash", "recipient": "mask"})
    assert row.get("body") is None
    assert ("body" in row) == (file_format != "jsonl")
    assert row["sender"] == digest(OWN_NUMBER)
    assert row["recipient"] == "46***05"
    assert row["reference"] == USUAL["reference"]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("written", ["+46701740605", "0046701740605", "46 70-174 06 05", "(46) 701740605"])
def test_a_number_has_one_hash_however_it_is_written(file_format: str, written: str) -> None:
    assert one(file_format, {"sender": "hash"}, sender=written)["sender"] == digest("46701740605")


@pytest.mark.parametrize("file_format", FORMATS)
def test_names_and_texts_are_hashed_as_they_are_and_masked_wholly(file_format: str) -> None:
    assert one(file_format, {"sender": "hash"}, sender="Grannen")["sender"] == digest("Grannen")
    assert one(file_format, {"body": "hash"}, body="å 🎂")["body"] == digest("å 🎂")
    assert one(file_format, {"sender": "mask", "body": "mask"}, sender="Grannen")["sender"] == "***"
    assert one(file_format, {"sender": "mask", "body": "mask"}, sender="71120")["sender"] == "***"


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("field", sorted(DOCUMENTED_FIELDS))
@pytest.mark.parametrize("action", ["drop", "hash", "mask"])
def test_every_field_can_be_redacted(file_format: str, field: str, action: str) -> None:
    before = message(1, body="unlike anything else", reference="unlike the others", mcc="999", mnc="998", segments=77)
    (row,) = read(file_format, write(file_format, {field: action}, [raw(before)]))
    value = before[field]
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    expected = {"drop": None, "hash": digest(text), "mask": "46***05" if field == "recipient" else "***"}[action]
    if field == "sender" and action == "mask":
        expected = "46***99"
    column = {"batchId": "batch_id"}.get(field, field)
    if file_format == "jsonl":
        assert row.get(field) == expected
        assert (field in row) == (action != "drop")
        assert {name: item for name, item in row.items() if name != field} == {
            name: item for name, item in before.items() if name != field
        }
    elif field in ("segments", "priority", "price", "modified", "statuses"):
        # Not a text in the table.
        assert row[column] in (None, [], "[]")
        assert json.loads(row["extra"] or "{}").get(field) == expected
    elif field == "currency" and expected is not None:
        assert row[column] == expected.upper()
    else:
        assert row[column] == expected
        assert row["extra"] is None


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_the_direction_is_told_from_the_addresses_before_they_are_gone(file_format: str) -> None:
    sent, received = message(1), message(2, sender=PARTICIPANT, recipient=OWN_NUMBER)
    rows = read(
        file_format, write(file_format, {"sender": "drop", "recipient": "hash"}, map(raw, (sent, received, sent)))
    )
    assert [row["direction"] for row in rows] == ["mt", "mo", "mt"]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("redact", "expected"),
    [
        ({}, PARTICIPANT),
        ({"body": "drop"}, PARTICIPANT),
        ({"participant": "mask"}, "46***05"),
        ({"sender": "hash"}, digest(PARTICIPANT)),
        ({"recipient": "mask", "sender": "hash"}, digest(PARTICIPANT)),
        ({"recipient": "mask", "sender": "drop"}, None),
        ({"recipient": "drop", "participant": "hash"}, digest(PARTICIPANT)),
    ],
)
def test_the_participant_follows_its_own_rule_or_the_stricter_one_of_the_addresses(
    file_format: str, redact: dict[str, str], expected: str | None
) -> None:
    assert one(file_format, redact)["participant"] == expected


def test_the_participant_of_a_batch_is_found_before_the_addresses_are_redacted() -> None:
    raws = [raw(message(1, direction="mt")), raw(message(2, direction="mo")), raw(message(3))]
    redacted = Redaction(check_rules({"recipient": "drop", "participant": "mask"})).apply(page_of(raws))
    rows = read("parquet", b"".join(encode([redacted], "parquet", None)))
    assert [row["participant"] for row in rows] == ["46***05", "46***99", None]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("action", ["drop", "hash", "mask"])
def test_the_redacted_value_is_nowhere_in_the_output(file_format: str, action: str) -> None:
    secret = "ring mig på mobilen"
    odd = message(
        1,
        body=f"Ring {PARTICIPANT} eller +{PARTICIPANT}!",
        reference=f"to-{PARTICIPANT}",
        to={PARTICIPANT: [f"tel:+{PARTICIPANT}", int(PARTICIPANT), 1, None, True]},
    )
    copied = message(2, body=secret, text=secret, preview=secret.upper())
    duplicate = raw(message(3))[:-1] + b',"recipient":"' + PARTICIPANT.encode() + b'"}'
    data = write(file_format, {"recipient": action, "body": action}, [raw(odd), raw(copied), duplicate])
    assert PARTICIPANT.encode() not in data
    assert secret.encode() not in data
    assert secret.encode("ascii", "backslashreplace") not in data
    rows = read(file_format, data)
    extra = rows[0] if file_format == "jsonl" else json.loads(rows[0]["extra"])
    (values,) = extra["to"].values()
    assert values[2:] == [1, None, True], "values that say nothing stay as they are"
    assert OWN_NUMBER.encode() in data, "what is not redacted stays"


@pytest.mark.parametrize("file_format", FORMATS)
def test_nothing_else_changes(file_format: str) -> None:
    texts = ODD_RAWS if file_format == "jsonl" else [text for text in ODD_RAWS if b"surrogate" not in text]
    before = read(file_format, b"".join(encode([page_of(texts, participant=PARTICIPANT)], file_format, None)))
    after = read(file_format, write(file_format, {"owner": "hash"}, texts))
    for was, now in zip(before, after, strict=True):
        owner = was.get("owner")
        assert now == was | ({"owner": digest(owner)} if owner else {})


def test_numbers_keep_their_digits_in_json_lines() -> None:
    text = b'{"id":"1","sender":"a","price":1.10,"big":12345678901234567890.1234567890}'
    assert write("jsonl", {"sender": "drop"}, [text]) == text.replace(b'"sender":"a",', b"") + b"\n"


@pytest.mark.parametrize("file_format", FORMATS)
def test_null_stays_null(file_format: str) -> None:
    row = one(file_format, {"sender": "hash", "reference": "mask"}, sender=None, reference=None)
    assert (row["sender"], row["reference"]) == (None, None)


def test_dropping_ids_leaves_the_table_readable() -> None:
    rows = read("parquet", write("parquet", {"id": "drop"}, [*map(raw, ODD[:3]), b'{"id":"4"}']))
    assert [row["id"] for row in rows] == [None] * 4
    assert [row["price"] for row in rows] == [Decimal("0.35")] * 3 + [None]


def test_both_spellings_are_known() -> None:
    assert check_rules({"batch_id": "drop", "sender": "mask"}) == {"batchId": "drop", "sender": "mask"}
    assert check_rules({"batchId": "drop"}) == {"batchId": "drop"}
    assert check_rules(None) == {}


@pytest.mark.parametrize(
    ("redact", "named"),
    [
        ({"sendr": "drop"}, "'sendr'"),
        ({"status_code": "drop"}, "'status_code'"),
        ({"sender": "encrypt"}, "'encrypt'"),
        ({"sender": None}, "None"),
        ({1: "drop"}, "1"),
        ({"batchId": "drop", "batch_id": "hash"}, "'batch_id'"),
        ("sender", "str"),
    ],
)
def test_unusable_rules_are_refused(redact: Any, named: str) -> None:
    with pytest.raises(ValueError, match=f"^redact: .*{named}"):
        check_rules(redact)
