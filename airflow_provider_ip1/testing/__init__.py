# SPDX-License-Identifier: Apache-2.0
"""
Fixtures for pytest that test DAGs without an iP.1 account and without AWS.

pytest finds the plugin by itself once the provider is installed. Until a test requests one of its fixtures, the plugin
imports nothing but pytest.
"""
