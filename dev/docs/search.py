# SPDX-License-Identifier: Apache-2.0
"""
A Sphinx extension that lets the search find numbers, such as the HTTP status 429 or the delivery status 202.

Sphinx leaves words of digits out of its index, and its ``searchtools.js`` leaves them out of the query. This extension
keeps the former, and ``docs/_static/search.js`` the latter. Words lead only to pages. So the pages about codes
also get an entry for each code that a section mentions. It leads to that section and is among the first results.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.addnodes import index
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGES_ABOUT_CODES = {"errors", "status-codes", "troubleshooting"}
CODE = re.compile(r"(?<![\w.,])[1-5]\d\d(?!\w|[.,]\d)")


class EnglishWithNumbers(SearchEnglish):
    """Sphinx's English search, except that digits are words."""

    def word_filter(self, word: str) -> bool:
        return word not in self.stopwords


class CodesToIndex(SphinxTransform):
    """Add each code that a section mentions to the index. The page itself stands back behind its sections."""

    # Before Sphinx reads the entries of the index (850).
    default_priority = 840

    def apply(self, **kwargs: Any) -> None:
        if self.env.docname not in PAGES_ABOUT_CODES:
            return
        found: set[str] = set()
        # The outermost section comes last.
        for section in reversed(list(self.document.findall(nodes.section))):
            own = " ".join(part.astext() for part in section if not isinstance(part, nodes.section))
            codes = set(CODE.findall(own))
            if section.parent is self.document:
                codes -= found
            found |= codes
            if codes:
                target = section["ids"][0]
                section.insert(1, index(entries=[("single", code, target, "main", None) for code in sorted(codes)]))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_search_language(EnglishWithNumbers)
    app.add_transform(CodesToIndex)
    # Deferred, so that it runs after searchtools.js and before the search starts.
    app.add_js_file("search.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
