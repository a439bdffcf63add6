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
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS
from airflow_provider_ip1.api.phone import contains_number
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
    # Without compression, so that the tests can search the bytes for what must not be there.
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
@pytest.mark.parametrize(
    "written",
    [
        "+46701740605",
        "0046701740605",
        "46 70-174 06 05",
        "(46) 701740605",
        "+46\u201170\u2011174\u201106\u201105",
        "+46 (0)70-174 06 05",
        "+46(0)701740605",
        "tel:+46-70-174-06-05",
        "TEL:46701740605",
        "４６７０１７４０６０５",
        "46\u00a070\u00a0174\u00a006\u00a005",
        "070-174 06 05",
        "701740605",
        "\u200e+46701740605\u200e",
    ],
)
def test_a_number_has_one_hash_in_every_notation(file_format: str, written: str) -> None:
    assert one(file_format, {"sender": "hash"}, sender=written)["sender"] == digest("46701740605")


@pytest.mark.parametrize("file_format", FORMATS)
def test_names_and_texts_are_hashed_unchanged_and_masked_completely(file_format: str) -> None:
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
        # The column is not a text.
        assert row[column] in (None, [], "[]")
        assert json.loads(row["extra"] or "{}").get(field) == expected
    elif field == "currency" and expected is not None:
        assert row[column] == expected.upper()
    else:
        assert row[column] == expected
        assert row["extra"] is None


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_the_direction_is_derived_from_the_addresses_before_redaction(file_format: str) -> None:
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
def test_a_redacted_value_is_nowhere_in_the_output(file_format: str, action: str) -> None:
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
    assert values[2:] == [1, None, True], "other values stay as they are"
    assert OWN_NUMBER.encode() in data, "what is not redacted stays"


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("action", ["drop", "hash", "mask"])
@pytest.mark.parametrize(
    "changes",
    [
        {"body": "Ring 46\u201170\u2011174\u201106\u201105 idag"},
        {"body": "Ring +46 (0)70-174 06 05!"},
        {"body": "070-174 06 05"},
        {"body": "Ring ４６７０１７４０６０５"},
        {"reference": "tel:46-701-740-605"},
        {"body": "https://example.com/?to=%2B46%20701740605", "reference": "%34%36701740605"},
        {"reference": "46%2070%20174%2006%2005"},
        {"46701740605": "as a name"},
        {"numbers": {"+46 70-174 06 05": True}},
        {"statuses": [{"code": 201, "duration": 1, "created": "2026-10-31T10:00:00Z", "to": "0046701740605"}]},
        {"statuses": [{"code": 201, "duration": 1, "created": "46701740605"}]},
        {"Recipient": "46701740605"},
        {"recipient": ..., "RECIPIENT": "46 701740605"},
        {"price": 46701740605},
        {"batchId": "46701740605"},
    ],
)
def test_a_redacted_number_is_found_in_every_notation(file_format: str, action: str, changes: dict[str, Any]) -> None:
    data = write(file_format, {"recipient": action}, [raw(message(1, **changes))])
    assert not contains_number(data.decode("utf-8", "replace"), PARTICIPANT)
    escaped = json.dumps(message(1, **{name: value for name, value in changes.items() if value is not ...})).encode()
    written = write(file_format, {"recipient": action}, [escaped]).decode("utf-8", "replace")
    assert not contains_number(written, PARTICIPANT)
    if file_format == "jsonl":
        (row,) = read(file_format, data)
        assert row["id"] and row["sender"] == OWN_NUMBER, "the rest is complete"


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_redacted_number_is_found_in_escaped_text(file_format: str) -> None:
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in PARTICIPANT)
    text = raw(message(1, body="...")).replace(b'"..."', f'"Ring {escaped}"'.encode())
    assert json.loads(text)["body"] == f"Ring {PARTICIPANT}"
    data = write(file_format, {"recipient": "mask"}, [text])
    assert PARTICIPANT.encode() not in data
    assert escaped.encode() not in data
    assert b"46***05" in data


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("action", ["drop", "hash", "mask"])
@pytest.mark.parametrize("name", ["Grannen", "Anna", "anna svensson"])
def test_a_redacted_name_is_found_in_undocumented_fields(file_format: str, action: str, name: str) -> None:
    status = {"code": 201, "duration": 1, "created": "2026-10-31T10:00:00Z", "name": name, "log": [f"to {name}."]}
    fields = message(1, sender=name, statuses=[status], copies={name.upper(): f"{name}, {name}"})
    data = write(file_format, {"sender": action}, [raw(fields)]).decode("utf-8", "replace")
    assert name.lower() not in data.lower()
    assert "Hej, din tid" in data


def test_a_short_name_in_another_word_stays() -> None:
    row = one("jsonl", {"sender": "mask"}, sender="Ann", note="Annika and Ann", body="Ann")
    assert row["note"] == "Annika and ***"
    assert row["body"] == "Ann", "names in documented fields stay, because a name can be any word"


@pytest.mark.parametrize("name", ["Sender", "SENDER", "sEnDeR"])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_field_is_redacted_in_any_spelling(file_format: str, name: str) -> None:
    fields = {
        ("batch_id" if key == "batchId" else name if key == "sender" else key): value for key, value in USUAL.items()
    }
    data = write(file_format, {"sender": "drop", "batchId": "drop"}, [raw(fields)])
    assert OWN_NUMBER.encode() not in data
    assert USUAL["batchId"].encode() not in data


GAPS = st.text(st.sampled_from(" .-/()\u2011\u00a0\u200b,_"), max_size=3)


@given(st.data())
def test_a_number_with_any_separators_is_not_in_the_output(data: st.DataObject) -> None:
    written = "".join(
        data.draw(GAPS) + data.draw(st.sampled_from([digit, chr(ord("０") + int(digit))])) for digit in PARTICIPANT
    )
    row = one("jsonl", {"recipient": "mask"}, body=f"ring {written}", other=[written])
    assert not contains_number(json.dumps(row, ensure_ascii=False), PARTICIPANT)


def test_rules_without_a_match_are_known() -> None:
    redaction = Redaction(check_rules({"sender": "drop", "reference": "hash", "body": "mask"}), KEY)
    assert redaction.unmatched == ["body", "reference", "sender"]
    redaction.apply(page_of([raw(message(1, reference=None, body=...))], participant=PARTICIPANT))
    assert redaction.unmatched == ["body", "reference"]


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


def test_a_table_without_ids_is_readable() -> None:
    rows = read("parquet", write("parquet", {"id": "drop"}, [*map(raw, ODD[:3]), b'{"id":"4"}']))
    assert [row["id"] for row in rows] == [None] * 4
    assert [row["price"] for row in rows] == [Decimal("0.35")] * 3 + [None]


def test_rules_accept_field_names_and_column_names() -> None:
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
def test_invalid_rules_are_rejected(redact: Any, named: str) -> None:
    with pytest.raises(ValueError, match=f"^redact: .*{named}"):
        check_rules(redact)
