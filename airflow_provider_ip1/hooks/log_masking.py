# SPDX-License-Identifier: Apache-2.0
"""Keeping phone numbers out of the debug log of the HTTP library."""

from __future__ import annotations

import logging

from airflow_provider_ip1.api.privacy import mask_conversation_paths


class _ConversationPathFilter(logging.Filter):
    """urllib3 logs the path of each request at DEBUG, and the participant is part of the path."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (masked := mask_conversation_paths(message)) != message:
            record.msg, record.args = masked, ()
        return True


def mask_urllib3_log() -> None:
    """Make urllib3's own logger mask participants. Other lines of it stay as they are; calling it again is free."""
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logger = logging.getLogger(name)
        if not any(isinstance(present, _ConversationPathFilter) for present in logger.filters):
            logger.addFilter(_ConversationPathFilter())
