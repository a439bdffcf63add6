# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration. ``make docs`` builds the documentation."""

from __future__ import annotations

import os
import pkgutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# autodoc imports Airflow through the package. Keep Airflow from writing into the user's home directory.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="ip1-docs-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
sys.path.insert(0, str(Path(__file__).parent.parent))

from airflow_provider_ip1 import __version__  # noqa: E402

project = "airflow-provider-ip1"
author = "The airflow-provider-ip1 contributors"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_inline_tabs", "dev.docs.plain_markdown"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3

# Copy commands and code without the prompts and the output.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False
maximum_signature_line_length = 100

nitpicky = True
# Check only references to this package. The build must not need other projects' websites.
nitpick_ignore_regex = [(r"py:.*", r"(?!airflow_provider_ip1|IP1|Message|Conversation)[\w.\[\]']*")]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"iP.1 provider for Airflow {version}"
html_theme_options = {
    "source_repository": "https://github.com/ip1-community/airflow-provider-ip1/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_copy_source = False
html_show_sphinx = False


def _internal_reference(app: Sphinx, env: object, node: Any, shown: Any) -> Any:
    """Show a reference to internal code as plain text. Without such code, Sphinx reports the reference."""
    target = node.get("reftarget", "")
    if target.startswith("airflow_provider_ip1."):
        try:
            pkgutil.resolve_name(target)
        except (ImportError, AttributeError):
            return None
        return shown
    return None


def setup(app: Sphinx) -> None:
    """Register what this file defines; Sphinx calls it."""
    app.connect("missing-reference", _internal_reference)
