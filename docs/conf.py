# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration. ``make docs`` builds the documentation."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from airflow_provider_ip1 import __version__  # noqa: E402

project = "airflow-provider-ip1"
author = "The airflow-provider-ip1 contributors"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_inline_tabs",
    "dev.docs.plain_markdown",
    "dev.docs.plain_pages",
    "dev.docs.search",
]
exclude_patterns = ["_build"]

myst_heading_anchors = 3

# Copy commands and code without the prompts and the output.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = [("pages.js", {"defer": "defer"})]
html_title = f"iP.1 provider for Airflow {version}"
html_theme_options = {
    "source_repository": "https://github.com/ip1-community/airflow-provider-ip1/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_favicon = "_static/favicon.svg"
# Read the Docs says where it publishes this version.
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "https://ip1-community.github.io/airflow-provider-ip1/")
html_copy_source = False
html_show_sphinx = False
