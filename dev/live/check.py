# SPDX-License-Identifier: Apache-2.0
"""
Ask the real iP.1 API what its documentation leaves open, and whether it behaves as this provider expects.

It sends about 30 GET requests and changes nothing. With --send, it sends one SMS instead, once you confirm it. It
prints Markdown tables that you can paste into an issue: they contain no key, no phone number, no name, no id and no
message.

Environment: IP1_API_KEY, IP1_PARTICIPANT (a number or name with at least 3 messages, better over 60, at most 10,000)
and, optionally, IP1_BASE_URL. --send needs IP1_SENDER, a registered sender, and no participant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from dev.live.expectations import judge
from dev.live.questions import answer_all
from dev.live.send import send_one
from dev.live.survey import Api, CannotCheck, Survey, from_environment, take_survey


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(answers: Iterable[tuple[str, str]]) -> str:
    lines = [_row("Open question", "Answer"), _row("---", "---")]
    return "\n".join(lines + [_row(question, answer) for question, answer in answers])


def report(survey: Survey) -> str:
    """Return the two tables."""
    lines = [_table(answer_all(survey)), "", _row("Expectation", "Source", "Held"), _row("---", "---", "---")]
    for verdict in judge(survey.exchanges):
        held = "yes" if not verdict.differs else "**no**: " + "; ".join(verdict.problems)
        lines.append(_row(verdict.expectation.text, verdict.expectation.source, held if verdict.seen else "not seen"))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--send", metavar="TO", help="send one SMS to this number, after you confirm it")
    to = parser.parse_args(arguments).send
    try:
        if to is not None:
            base_url, key, sender = from_environment("IP1_SENDER")
            print(_table(send_one(Api(base_url, key), to, sender)))
            return 0
        base_url, key, participant = from_environment()
        api = Api(base_url, key)
        survey = take_survey(api, participant)
    except CannotCheck as error:
        print(error, file=sys.stderr)
        return 2
    host = urlsplit(api.base_url).hostname
    print(f"{len(survey.exchanges)} GET requests to {host}.\n\n{report(survey)}")
    return 1 if any(verdict.differs for verdict in judge(survey.exchanges)) else 0


if __name__ == "__main__":
    sys.exit(main())
