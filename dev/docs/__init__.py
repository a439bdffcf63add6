# SPDX-License-Identifier: Apache-2.0
"""Prepare the pages of the documentation: plain Markdown for GitHub and PyPI, tabs and directives for Sphinx."""
