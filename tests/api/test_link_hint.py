# SPDX-License-Identifier: Apache-2.0
"""
Reading ``Link`` headers.

The first four forms are copied from iP.1's public documentation (introduction, older one-page docs, survey pages); the
others are what RFC 8288 allows or what broken servers send.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.page_body import NO_HINT, LinkHint, read_link, urls_by_relation

NEXT = "https://api.ip1sms.com/v2/batches?start=201&limit=100&order=ASC"
LAST = "https://api.ip1sms.com/v2/batches?start=4901&limit=100&order=ASC"
BOTH = LinkHint(has_next=True, last_start=4901, last_limit=100)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(f'<{NEXT}>; rel="next", <{LAST}>; rel="last"', BOTH, id="introduction"),
        pytest.param(f'<{NEXT}> rel="next", <{LAST}> rel="last"', BOTH, id="no-semicolon"),
        pytest.param('; rel="next", ; rel="load"', LinkHint(True), id="urls-swallowed"),
        pytest.param('; rel="next", ; rel="last"', LinkHint(True), id="v3"),
        pytest.param(f'<{NEXT}>; rel="next",\n <{LAST}>; rel="last"', BOTH, id="printed-on-two-lines"),
        pytest.param(f'<{LAST}>; rel="last", <{NEXT}>; rel="next"', BOTH, id="last-first"),
        pytest.param(f'<{NEXT}>;REL="NEXT",<{LAST}>;Rel="Last"', BOTH, id="upper-case"),
        pytest.param(f"<{NEXT}>;rel=next,<{LAST}>;rel=last", BOTH, id="unquoted"),
        pytest.param(f"<{NEXT}>; rel='next', <{LAST}>; rel='last'", BOTH, id="single-quotes"),
        pytest.param(f'<{NEXT}> ; rel = "next" , <{LAST}> ; rel = "last"', BOTH, id="spaces"),
        pytest.param(
            f'<{NEXT}>; title="Page, <3>; rel=\\"prev\\", the rest"; rel="next"; type="a/b", <{LAST}>; rel="last"',
            BOTH,
            id="quoted-commas-and-brackets",
        ),
        pytest.param(f'<{NEXT}>; title="x; rel=prev"; rel="next", <{LAST}>; rel="last"', BOTH, id="rel-within-a-title"),
        pytest.param(f'<{NEXT}>; xrel="prev"; rel="next", <{LAST}>; rel="last"', BOTH, id="name-that-ends-in-rel"),
        pytest.param('</v2/x?start=5&limit=2>; rel="last"', LinkHint(last_start=5, last_limit=2), id="relative-path"),
        pytest.param('<?start=5&limit=2>; rel="last"', LinkHint(last_start=5, last_limit=2), id="only-a-query"),
        pytest.param('<?limit=2&START=5>; rel="last"', LinkHint(last_start=5, last_limit=2), id="any-order-and-case"),
        pytest.param('<?order=ASC&restart=9&start=5#x>; rel="last"', LinkHint(last_start=5), id="fragment"),
        pytest.param('<?ids=1,2&start=5>; rel="last"', LinkHint(last_start=5), id="comma-in-the-url"),
        pytest.param('<?start=5>; title=a, b; rel="last"', LinkHint(last_start=5), id="comma-without-quotes"),
        pytest.param('<?start=5>; title=a<b; rel="last"', LinkHint(last_start=5), id="bracket-without-quotes"),
        pytest.param('<?start=5>; rel="next last"', LinkHint(True, 5), id="two-relations"),
        pytest.param('<?start=5>; rel="last"; rel="prev"', LinkHint(last_start=5), id="first-rel-counts"),
        pytest.param('<?start=5>; rel="last", <?start=6>; rel="last"', LinkHint(last_start=5), id="first-link-counts"),
        pytest.param('<?start=x&limit=-1>; rel="last"', NO_HINT, id="no-numbers"),
        pytest.param('<?start=1e3&limit=٣>; rel="last"', NO_HINT, id="other-notations"),
        pytest.param(f'<?start={"9" * 16}>; rel="last"', NO_HINT, id="no-offset-is-that-large"),
        pytest.param('<http://[/?start=5>; rel="last"', LinkHint(last_start=5), id="broken-url"),
        pytest.param("<?start=5>", NO_HINT, id="no-rel"),
        pytest.param("<<>;;, next", NO_HINT, id="garbage"),
        pytest.param("", NO_HINT, id="empty"),
    ],
)
def test_forms(header: str, expected: LinkHint) -> None:
    assert read_link(header) == expected


def test_no_header() -> None:
    assert read_link(None) == NO_HINT


pieces = st.sampled_from([*"<>\"\\',; \t=5%å", "rel", "REL", "next", "last", "?start=", "&limit="])


@given(st.one_of(st.text(), st.lists(pieces, max_size=40).map("".join)))
@example('<?start=5>; rel="')
def test_nothing_raises(header: str) -> None:
    hint = read_link(header)
    for number in (hint.last_start, hint.last_limit):
        assert number is None or 0 <= number < 10**15


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["next", "last", "first", "prev", "self"]),
            st.integers(0, 10**9),
            st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20),
        ),
        unique_by=lambda link: link[0],
        max_size=5,
    )
)
def test_a_title_changes_nothing(links: list[tuple[str, int, str]]) -> None:
    """The numbers are read whatever a quoted parameter says, as long as it is written as RFC 8288 requires."""

    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    header = ", ".join(f'</x?start={start}>; title="{quoted(title)}"; rel="{rel}"' for rel, start, title in links)
    assert urls_by_relation(header) == {rel: f"/x?start={start}" for rel, start, _ in links}
    starts = {rel: start for rel, start, _ in links}
    assert read_link(header) == LinkHint("next" in starts, starts.get("last"))


@pytest.mark.parametrize("piece", ['"\\', '\\"', '"', "<", 'rel="', "rel ", "?start=", "&start=1", '<>;"'])
def test_a_long_header_costs_no_time(piece: str) -> None:
    """A hostile header of the longest size that Python's HTTP client accepts."""
    header = piece * (65536 // len(piece))
    began = time.process_time()
    read_link(header)
    assert time.process_time() - began < 5
