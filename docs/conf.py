# SPDX-License-Identifier: Apache-2.0
"""How the documentation is built. Run by ``make docs``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# autodoc imports the package, and with it Airflow, which must not touch the home of whoever builds the docs.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="ip1-docs-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from airflow_provider_ip1 import __version__  # noqa: E402

project = "airflow-provider-ip1"
author = "The airflow-provider-ip1 contributors"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "generated_tables"]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False
maximum_signature_line_length = 100

nitpicky = True
# Only names of this package have to be found: the documentation is built without asking other projects' websites.
nitpick_ignore_regex = [(r"py:.*", r"(?!airflow_provider_ip1|IP1|Message|Conversation)[\w.\[\]]*")]

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
