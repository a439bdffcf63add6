# SPDX-License-Identifier: Apache-2.0
"""
What this provider expects of iP.1's responses, one check per expectation.

The same checks judge the recordings, the sandbox and the real API, because they only look at exchanges. No text in here
and no verdict contains personal data.
"""

# Importing a module adds its expectations, in this order.
from dev.live.expectations import responses, account, links, lists  # noqa: F401, I001
from dev.live.expectations.expectation import EXPECTATIONS, Verdict, differing, judge
from dev.live.expectations.responses import SCHEMA

__all__ = ["EXPECTATIONS", "SCHEMA", "Verdict", "differing", "judge"]
