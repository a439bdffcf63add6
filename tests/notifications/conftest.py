# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the operator that sends."""

from tests.operators.conftest import serve, short_pauses  # noqa: F401
