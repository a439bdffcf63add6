# SPDX-License-Identifier: Apache-2.0
"""Notifiers, for callbacks of DAGs and tasks."""
