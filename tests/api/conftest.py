# SPDX-License-Identifier: Apache-2.0
"""Settings of the property tests. None of them measures time, and a busy machine must not fail them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
