# SPDX-License-Identifier: Apache-2.0
"""A package, so that its fixtures end with its last test: Playwright's event loop would disturb other tests."""
