# SPDX-License-Identifier: Apache-2.0
"""
A Sphinx extension that adds to plain Markdown pages what only Sphinx can show. GitHub renders the same pages.

- ``<!-- sphinx`` … ``-->`` hides directives from GitHub; Sphinx reads them as if they stood in the page.
- ``<!-- github -->`` … ``<!-- /github -->`` is left out of the built documentation.
- A code block with a line such as ``from airflow.sdk import DAG  # on Airflow 2.11: from airflow import DAG`` becomes
  two tabs, one for each version. The remark may also follow on a line by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SPHINX_ONLY = re.compile(r"^<!-- sphinx\n(.*?)^-->$", re.M | re.S)
GITHUB_ONLY = re.compile(r"^<!-- github -->\n.*?^<!-- /github -->$", re.M | re.S)
BLOCK = re.compile(r"^```(?P<language>python|console)\n(?P<code>.*?)^```$", re.M | re.S)
ON_AIRFLOW_2 = re.compile(r"^(?P<prompt>\$ )?(?P<code>.*?)(?: +|\n)# on Airflow 2\.11: (?P<older>.*)$", re.M)


def for_airflow_3(code: str) -> str:
    """Return the code without the remarks about Airflow 2.11."""
    return ON_AIRFLOW_2.sub(lambda line: (line["prompt"] or "") + line["code"], code)


def for_airflow_2(code: str) -> str:
    """Return the code with each remarked line replaced by its form for Airflow 2.11."""
    return ON_AIRFLOW_2.sub(lambda line: (line["prompt"] or "") + line["older"], code)


def _as_tabs(block: re.Match[str]) -> str:
    if not ON_AIRFLOW_2.search(block["code"]):
        return block[0]
    return "\n".join(
        f"````{{tab}} {version}\n```{block['language']}\n{code}```\n````\n"
        for version, code in (
            ("Airflow 3", for_airflow_3(block["code"])),
            ("Airflow 2.11", for_airflow_2(block["code"])),
        )
    )


def for_sphinx(page: str) -> str:
    """Return the text of a page as Sphinx should read it."""
    return BLOCK.sub(_as_tabs, GITHUB_ONLY.sub("", SPHINX_ONLY.sub(r"\1", page)))


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = for_sphinx(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
