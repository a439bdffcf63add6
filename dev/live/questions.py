# SPDX-License-Identifier: Apache-2.0
"""
What iP.1 does not document, sorted by what it would cost users if the provider's assumption were wrong.

docs/about-ip1.md shows this list, and ``make check-live`` answers it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dev.live.expectations import Verdict

LOST: Final = "Messages could be missing, old or sent twice, without an error"
FAILS: Final = "A task could fail, or wait until its timeout, without need"
NOTHING: Final = "Nothing: the provider works with every answer"
COSTS: Final = (LOST, FAILS, NOTHING)
_SENDING: Final = "Only sending an SMS shows it"


@dataclass(frozen=True)
class Question:
    """
    A question that the documentation leaves open.

    :param cost: what happens to users if the answer is not what the provider assumes; one of ``COSTS``.
    :param text: the question.
    :param provider: what the provider assumes or does.
    :param names: the names of the expectations whose checks answer it.
    :param unanswered: why requests that change nothing cannot answer it, if they cannot.
    """

    cost: str
    text: str
    provider: str
    names: Sequence[str] = ()
    unanswered: str = ""

    def answer(self, verdicts: Mapping[str, Verdict]) -> str:
        """
        Return what a check of the real API found.

        :param verdicts: the verdicts by the names of their expectations.
        """
        mine = [verdicts[name] for name in self.names]
        problems = [problem for verdict in mine for problem in verdict.problems]
        if problems:
            return f"**not as assumed**: {'; '.join(problems)}"
        if self.unanswered:
            return self.unanswered
        return "as assumed" if all(verdict.seen for verdict in mine) else "not seen"


QUESTIONS: Final = (
    Question(
        LOST,
        "Do the rows of a list keep their order from page to page?",
        "Assumes that they do. Rows may be inserted and removed, and messages with the same creation time may swap "
        "places ([how pages are read](paging.md)).",
        ("offsets", "order"),
    ),
    Question(
        LOST,
        "Are ids unique and permanent?",
        "Assumes that they are: it assembles every list by id.",
        ("ids", "directions"),
    ),
    Question(
        LOST,
        "Does every message, even a received one, belong to a batch that `GET /v2/batches` lists by creation?",
        "Assumes so, as iP.1 says without an example. Only exports of the [whole account](which-export.md) and waiting "
        "for an SMS [from anyone](replies.md#from-anyone) rely on it. `verify_total=True` checks it.",
        ("received-batches", "batch-order"),
    ),
    Question(
        LOST,
        "How long after its creation can a message still change?",
        "Assumes at most `status_lookback`, 3 days. Only exports with `since` or `checkpoint` rely on it.",
        ("last-change",),
    ),
    Question(
        LOST,
        "What is the largest `limit`?",
        "Accepts any page length, but assumes that at least 50 rows are granted, the documented default. A short page "
        "alone is [not the end of a list](internals/end-of-list.md).",
        ("limit",),
    ),
    Question(
        LOST,
        "Does a 404 come from iP.1?",
        "Trusts a 404 only after the same server has returned a list of batches or senders, because any web server "
        "returns 404 for an unknown path.",
        ("no-messages", "control"),
    ),
    Question(
        LOST,
        "In which time zone are times without one?",
        "Reads them as UTC. Times before the year 2000 or after tomorrow are unreadable, and never end a read.",
        ("times", "plausible-times"),
    ),
    Question(
        LOST,
        "Does a batch keep its `reference` unchanged, and how soon does the list show it?",
        "Assumes an unchanged one, and looks for up to 30 seconds. Sending "
        "[exactly once](sending.md#when-a-task-is-retried-or-cleared) relies on it after a failure.",
        unanswered=_SENDING,
    ),
    Question(
        FAILS,
        "Which messages does the summary count?",
        "Assumes those of the list. Only `verify_total=True` relies on it.",
        ("summary", "summary-count"),
    ),
    Question(
        FAILS,
        "Can 1xx be the last status of a message, such as 104 (`Refunded`)?",
        "Assumes not: the [sensor](sensor.md) waits for another one until its timeout.",
        ("open-statuses",),
    ),
    Question(
        FAILS,
        "What is the rate limit?",
        "Sends at most 20 requests per second and process by default; obeys 429 and `Retry-After`.",
        ("rate-headers",),
    ),
    Question(
        FAILS,
        "What is the response to `POST /v2/batches`?",
        "Accepts a batch, a list of one, a `Location` header or nothing; without an id, looks for the reference.",
        unanswered=_SENDING,
    ),
    Question(
        NOTHING,
        "Does `start` in `Link` count from 0 or 1, and does `next` continue after the page?",
        "Does not depend on the answer: pages [overlap](paging.md), and `Link` is only a hint.",
        ("link-form", "link-target", "link-next", "link-numbers"),
    ),
    Question(
        NOTHING,
        "What does iP.1 return past the end of a list?",
        "Accepts both an empty page and a 404.",
        ("past-end",),
    ),
    Question(
        NOTHING,
        "Which `direction` is 0 and which is 1?",
        "Ignores the integers; uses iP.1's texts, the endpoint or the addresses.",
        ("direction",),
    ),
    Question(
        NOTHING,
        "Are enumerations integers (the schema) or texts (the guide)?",
        "Reads both, in upper or lower case, and keeps unknown values.",
        ("enums",),
    ),
    Question(
        NOTHING,
        "Which `duration` means final?",
        "Ignores it and uses the status code.",
        ("duration",),
    ),
    Question(
        NOTHING,
        "Which codes are there besides the documented ones, and what are the names of those from 405 on?",
        "Shows the number and the group.",
        ("codes",),
    ),
    Question(
        NOTHING,
        "Which statuses does a single message show?",
        "Assumes all of them, oldest first, and uses the latest.",
        ("history",),
    ),
    Question(
        NOTHING,
        "Are missing fields absent or null?",
        "Both become null in the table.",
        ("absent",),
    ),
    Question(
        NOTHING,
        "What do the bodies of errors contain?",
        "Uses only the status; neither needs nor shows the body. 403, 429 and 5xx cannot be provoked.",
        ("error-body", "status", "key"),
    ),
    Question(
        NOTHING,
        "Which status does a message to a number on the blacklist get?",
        "Handles every status code; 405 (`RecipientRejected` in iP.1's list for e-mail) is a guess.",
        ("blacklist-status",),
    ),
    Question(
        NOTHING,
        "In which order is the blacklist?",
        "Does not depend on it.",
        ("blacklist-order",),
    ),
    Question(
        NOTHING,
        "Can the list of batches be filtered by direction?",
        "Does not depend on it: reads both directions, and looks at each batch's `direction`.",
        ("direction-filter", "batch-direction"),
    ),
    Question(
        NOTHING,
        "What happens to a placeholder without a value?",
        "Raises an error before sending.",
        unanswered=_SENDING,
    ),
)
