# SPDX-License-Identifier: Apache-2.0
"""
A Sphinx extension that publishes the documentation for programs, too.

- Each HTML page has a ``<meta name="description">`` with the first sentences of the page, and links to its Markdown.
- Markdown of each page lies beside the HTML: ``start.md`` beside ``start.html``.
- ``llms.txt`` lists the pages with these descriptions, in the order of the sidebar (https://llmstxt.org).
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from docutils import nodes
from sphinx.addnodes import toctree

from dev.docs.plain_markdown import for_programs

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: Search engines show about this many characters.
LONGEST_DESCRIPTION = 160
#: Less says too little: the start of the next sentence is added.
SHORTEST_DESCRIPTION = 60


def description_of(document: nodes.document) -> str:
    """Return the first sentences of a page: as many as fit, or the start of a long one."""
    paragraphs = (
        " ".join(found.astext().split())
        for found in document.findall(nodes.paragraph)
        if isinstance(found.parent, (nodes.section, nodes.document))
    )
    text = re.sub(":$", ".", next(filter(None, paragraphs), ""))
    if len(text) <= LONGEST_DESCRIPTION:
        return text
    sentences = text[: LONGEST_DESCRIPTION + 1].rpartition(". ")[0]
    if len(sentences) >= SHORTEST_DESCRIPTION:
        return f"{sentences}."
    return f"{text[: LONGEST_DESCRIPTION - 1].rpartition(' ')[0]}…"


def _add_to_head(app: Sphinx, pagename: str, template: str, context: dict[str, Any], document: Any) -> None:
    if document is None:
        return
    text = html.escape(description_of(document))
    plain = f"{pagename.rpartition('/')[2]}.md"
    context["metatags"] += f'<meta name="description" content="{text}" />\n'
    context["metatags"] += f'<link rel="alternate" type="text/markdown" href="{plain}" />\n'


def _pages_below(app: Sphinx, name: str) -> list[str]:
    found = [name]
    for list_of_pages in app.env.get_doctree(name).findall(toctree):
        for _, child in list_of_pages["entries"]:
            found += _pages_below(app, child)
    return found


def llms_txt(app: Sphinx) -> str:
    index = app.env.get_doctree("index")
    lines = [f"# {app.env.titles['index'].astext()}", "", f"> {description_of(index)}"]
    for list_of_pages in index.findall(toctree):
        lines += ["", f"## {list_of_pages['caption']}", ""]
        for _, entry in list_of_pages["entries"]:
            for name in _pages_below(app, entry):
                address = urljoin(app.config.html_baseurl, f"{name}.md")
                about = description_of(app.env.get_doctree(name))
                lines.append(f"- [{app.env.titles[name].astext()}]({address}){f': {about}' if about else ''}")
    return "\n".join(lines) + "\n"


def _write(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.format != "html":
        return
    for name in sorted(app.env.found_docs):
        path = Path(app.outdir, f"{name}.md")
        path.parent.mkdir(parents=True, exist_ok=True)
        source = Path(app.env.doc2path(name))
        path.write_text(for_programs(source.read_text(encoding="utf-8"), source.parent), encoding="utf-8")
    Path(app.outdir, "llms.txt").write_text(llms_txt(app), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _add_to_head)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
