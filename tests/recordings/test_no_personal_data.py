# SPDX-License-Identifier: Apache-2.0
"""The repository contains no real phone number and no API key."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import PROJECT

# The Swedish Post and Telecom Authority reserves these ranges for books and films.
RESERVED = (
    (46701740605, 46701740699),
    (46313900600, 46313900699),
    (46406280400, 46406280499),
    (46846500400, 46846500499),
    (46980319200, 46980319299),
)
# The files in which people and recordings write numbers. Generated files are full of hashes, versions and measurements.
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".json", ".toml", ".example", ".txt", ".cfg", ".sh", ".csv", ""}
LEFT_OUT = {"LICENSE", "benchmarks/results.json", "dev/requirements/dev.txt"}

# A number as digits only, in international notation, or in Swedish national notation.
DIGITS = re.compile(r"(?<![0-9.])[1-9][0-9]{8,14}(?![0-9]|\.[0-9])")
INTERNATIONAL = re.compile(r"(?<![0-9])(?:\+|00)[1-9][0-9 ()\-]{6,17}[0-9]")
NATIONAL = re.compile(r"(?<![0-9A-Fa-f.:/+\-])0[1-9][0-9]{0,2}[- ][0-9][0-9 ]{4,9}[0-9](?![0-9])")
# Not phone numbers: ids and hashes in hexadecimal, and escaped characters.
HEXADECIMAL = re.compile(r"(?<![0-9A-Za-z])(?=[0-9]*[a-f])[0-9a-f]{12,}(?![0-9A-Za-z])|\\u[0-9a-f]{4}")
# Seconds since 1970, from 2001 to 2033. Phone numbers with a country code never look like this.
UNIX_TIME = re.compile("1[0-9]{9}")
KEY_LIKE = re.compile(
    r"""(?i)(?:bearer|api[_-]?key|password|authorization)["']?\s*[:=]\s*["']?([A-Za-z0-9+/_\-]{20,})"""
)
BEARER = re.compile(r"Bearer ([A-Za-z0-9+/_\-.]{16,})")


# Numbers that are long enough for a phone number but mean something else.
EXCEPTIONS = {
    "999999999": "seconds: the longest Retry-After that the client reads",
    "4710000605": "Norwegian numbers do not start with 1 after the country code",
    "3541000605": "neither do Icelandic ones",
    "4670174060": "a reserved number without its last digit",
    "466054670": "parts of two reserved numbers",
    "12025550123": "North America reserves 555-0100 to 555-0199 for fiction",
    "253670174": "a part of a reserved number in percent-encoding",
    "123456789": "the digits from 1 on",
    "4294967296": "2 ** 32",
    "9100006051": "the end of the Norwegian one inside other digits",
}


def numbers(text: str) -> Iterator[str]:
    """Return what could be a phone number, as digits with country code."""
    plain = HEXADECIMAL.sub("", text)
    for pattern in (DIGITS, INTERNATIONAL, NATIONAL):
        for found in pattern.finditer(plain):
            digits = re.sub("[^0-9]", "", found[0])
            # An f-string that goes on with a placeholder.
            is_incomplete = plain[found.end() : found.end() + 2].lstrip().startswith("{")
            if not is_incomplete:
                yield f"46{digits[1:]}" if pattern is NATIONAL else digits.removeprefix("00")


def is_harmless(number: str) -> bool:
    # Code may contain the first number after a range, and numbers without country code or after other digits.
    values = (int(number), 46_000_000_000 + int(number[-9:]))
    is_reserved = any(first <= value <= last + 1 for first, last in RESERVED for value in values)
    return is_reserved or UNIX_TIME.fullmatch(number) is not None or number in EXCEPTIONS


def keys(text: str) -> Iterator[str]:
    for pattern in (KEY_LIKE, BEARER):
        for found in pattern.finditer(text):
            # A random key has letters and digits, unlike words of a sentence or of code.
            if re.search("[0-9]", found[1]) and re.search("[A-Za-z]", found[1]):
                yield found[1]


def files() -> list[Path]:
    """Return the files that are in the repository, or will be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name and name not in LEFT_OUT]
    return [path for name in names if (path := PROJECT / name).is_file() and path.suffix in SUFFIXES]


def test_phone_numbers_are_reserved_for_fiction() -> None:
    wrong = []
    for path in files():
        for number in numbers(path.read_text(encoding="utf-8")):
            if not is_harmless(number):
                wrong.append(f"{path.relative_to(PROJECT)}: {number}")
    assert wrong == []


@pytest.mark.parametrize(
    "form", ["{0}", "+{0}", "00{0}", "sms{0}ok", "+46 {1}-{2} {3}", "0{1}-{2} {3}", "tel:+46-{1}-{2}{3}", "%2B{0}"]
)
def test_real_number_would_be_found(form: str) -> None:
    last = 1234567
    number = f"4670{last}"
    text = form.format(number, "70", f"{last}"[:3], f"{last}"[3:])
    assert number in list(numbers(f'"recipient": "{text}",'))
    assert not is_harmless(number)


def test_key_would_be_found() -> None:
    key = "a1" * 16
    assert list(keys(f"Authorization: Bearer {key}")) and list(keys(f'IP1_API_KEY="{key}"'))


def test_there_are_no_keys() -> None:
    wrong = [path.name for path in files() for _ in keys(path.read_text(encoding="utf-8"))]
    assert wrong == []


def test_recordings_contain_no_request_headers() -> None:
    """A request header would contain the key."""
    recordings = PROJECT / "tests" / "recordings" / "cassettes"
    for path in recordings.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "uthorization" not in text
        assert len(re.findall(r"\n    body: .*\n    headers: {}\n", text)) == text.count("- request:\n")
