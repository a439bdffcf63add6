# SPDX-License-Identifier: Apache-2.0
"""
A Sphinx extension that adds to plain Markdown pages what only Sphinx can show. GitHub renders the same pages.

- ``<!-- sphinx`` … ``-->`` hides directives from GitHub; Sphinx reads them as if they stood in the page.
- ``<!-- github -->`` … ``<!-- /github -->`` is left out of the built documentation.
- ``{include}`` with ``:start-after:`` and ``:end-before:`` becomes that section, and is read like the rest of the page.
- An image whose folder also has it with ``-dark`` before the ending changes with the theme of the page.
- A code block with a line such as ``from airflow.sdk import DAG  # on Airflow 2.11: from airflow import DAG`` becomes
  two tabs, one for each version. The remark may also follow on a line by itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SPHINX_ONLY = re.compile(r"^<!-- sphinx\n(.*?)^-->$", re.M | re.S)
GITHUB_ONLY = re.compile(r"^<!-- github -->\n.*?^<!-- /github -->$", re.M | re.S)
INCLUDE = re.compile(
    r'^```\{include\} (?P<path>\S+)\n:start-after: "(?P<start>.*)"\n:end-before: "(?P<end>.*)"\n'
    r":relative-docs: (?P<docs>\S+)\n```$",
    re.M,
)
WHOLE_INCLUDE = re.compile(r"^```\{include\} (?P<path>\S+)\n(?::.*\n)*```$", re.M)
DIRECTIVE = re.compile(r"^(?P<ticks>```+)\{.*?^(?P=ticks)$\n?", re.M | re.S)
IMAGE = re.compile(r"^!\[(?P<text>[^\]]*)\]\((?P<stem>[^)\s]+)(?P<ending>\.\w+)\)$", re.M)
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


def _with_sections(page: str, folder: Path) -> str:
    """Return the page with each included section of another file."""

    def as_section(include: re.Match[str]) -> str:
        text = (folder / include["path"]).read_text(encoding="utf-8")
        section = text.split(include["start"], 1)[1].split(include["end"], 1)[0]
        return section.replace(f"]({include['docs']}/", "](")

    return INCLUDE.sub(as_section, page)


def for_sphinx(page: str, folder: Path) -> str:
    """
    Return the text of a page as Sphinx should read it.

    :param page: the text in the file.
    :param folder: the file's folder, to which the paths of its includes and images are relative.
    """

    def as_pair(image: re.Match[str]) -> str:
        dark = f"{image['stem']}-dark{image['ending']}"
        if not (folder / dark).is_file():
            return image[0]
        light = image["stem"] + image["ending"]
        return "\n".join(
            f"```{{image}} {path}\n:alt: {image['text']}\n:class: only-{theme}\n```"
            for theme, path in (("light", light), ("dark", dark))
        )

    page = _with_sections(SPHINX_ONLY.sub(r"\1", page), folder)
    return BLOCK.sub(_as_tabs, IMAGE.sub(as_pair, GITHUB_ONLY.sub("", page)))


def for_programs(page: str, folder: Path) -> str:
    """
    Return the text of a page for programs: plain Markdown, whose links lead to what Sphinx built.

    :param page: the text in the file.
    :param folder: the file's folder, to which the paths of its includes are relative.
    """

    def as_subsections(include: re.Match[str]) -> str:
        text = (folder / include["path"]).read_text(encoding="utf-8")
        return re.sub(r"^#", "##", text, flags=re.M)

    page = _with_sections(SPHINX_ONLY.sub(r"\1", GITHUB_ONLY.sub("", page)), folder)
    page = DIRECTIVE.sub("", WHOLE_INCLUDE.sub(as_subsections, page))
    page = re.sub(r"^(<!--.*-->|\(\S+\)=)\n", "", page, flags=re.M)
    page = re.sub(r"(\]\((?:\.\./)*)images/", r"\1_images/", page)
    return re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    folder = Path(app.env.doc2path(docname)).parent
    for include in INCLUDE.finditer(source[0]):
        app.env.note_dependency(str(folder / include["path"]))
    source[0] = for_sphinx(source[0], folder)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
