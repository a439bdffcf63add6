# SPDX-License-Identifier: Apache-2.0
"""Compare the real iP.1 API with what the provider expects of it, and record it without personal data."""
