# SPDX-License-Identifier: Apache-2.0
"""Waiting for messages to reach a status: which messages, what their statuses mean, and when to ask iP.1 again."""
