# SPDX-License-Identifier: Apache-2.0
"""Operators that change something in iP.1."""
