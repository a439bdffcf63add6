# SPDX-License-Identifier: Apache-2.0
"""
Compare the real iP.1 API with what this provider expects of it.

It sends about 25 GET requests and changes nothing. It prints a Markdown table that you can paste into an issue: it
contains no key, no phone number, no name, no id and no message.

Environment: IP1_API_KEY, IP1_PARTICIPANT (a number or name with at least 3 messages, better over 60, at most 10,000)
and, optionally, IP1_BASE_URL.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from dev.live.expectations import Verdict, judge
from dev.live.survey import Api, CannotCheck, from_environment, take_survey


def report(verdicts: Sequence[Verdict]) -> str:
    """Return the table."""
    rows = [("Expectation", "Source", "Held"), ("---", "---", "---")]
    for verdict in verdicts:
        held = f"**no**: {'; '.join(verdict.problems)}" if verdict.differs else "yes" if verdict.seen else "not seen"
        rows.append((verdict.expectation.text, verdict.expectation.source, held))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


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
    print(f"{len(exchanges)} GET requests to {urlsplit(base_url).hostname}.\n\n{report(verdicts)}")
    return 1 if any(verdict.differs for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
