# SPDX-License-Identifier: Apache-2.0
"""
Compare the real iP.1 API with what this provider expects of it.

It sends 25 to 50 GET requests and changes nothing. It prints Markdown that you can paste into an issue as it is: it
contains no key, no phone number, no name, no id and no message.

Environment: IP1_API_KEY, IP1_PARTICIPANT (a number or name with at least 3 messages, better over 60, at most 10,000)
and, optionally, IP1_BASE_URL.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date

from airflow_provider_ip1 import __version__
from dev.docs.tables import table
from dev.live.expectations import Verdict, judge
from dev.live.questions import QUESTIONS
from dev.live.survey import BASE_URL, Api, CannotCheck, from_environment, take_survey


def report(verdicts: Sequence[Verdict]) -> str:
    """Return what to paste: the answers to the open questions, and each expectation."""
    by_name = {verdict.expectation.name: verdict for verdict in verdicts}
    answers = [(question.text, question.cost, question.answer(by_name)) for question in QUESTIONS]
    held = [(each.expectation.text, each.expectation.source, _held(each)) for each in verdicts]
    return "\n\n".join(
        (
            "## Questions that the documentation leaves open",
            table(["Question", "What a wrong assumption costs", "Answer"], answers),
            "## Expectations",
            table(["Expectation", "Source", "Held"], held),
        )
    )


def _held(verdict: Verdict) -> str:
    if verdict.differs:
        return f"**no**: {'; '.join(verdict.problems)}"
    return "yes" if verdict.seen else "not seen"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    try:
        base_url, key, participant = from_environment()
        exchanges = take_survey(Api(base_url, key), participant)
    except CannotCheck as error:
        print(error, file=sys.stderr)
        return 2
    verdicts = judge(exchanges)
    # The name of a server inside a company is nobody's business.
    server = "api.ip1sms.com" if base_url == BASE_URL else "another server"
    print(f"airflow-provider-ip1 {__version__}, {date.today()}: {len(exchanges)} GET requests to {server}.\n")
    print(report(verdicts))
    return 1 if any(verdict.differs for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
