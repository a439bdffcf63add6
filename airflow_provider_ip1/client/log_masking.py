# SPDX-License-Identifier: Apache-2.0
"""Keeps phone numbers out of the logs of the HTTP libraries."""

from __future__ import annotations

import logging
from typing import Final

from airflow_provider_ip1.api.phone import mask_conversation_paths

#: Loggers that write paths or URLs of requests: each request at DEBUG, malformed headers at WARNING.
_LOGGERS: Final = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
    "aiohttp.client",
    "aiohttp.internal",
    "asyncio",
)


class _ConversationPathFilter(logging.Filter):
    """Masks the participant, which is part of the path of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (masked := mask_conversation_paths(message)) != message:
            record.msg, record.args = masked, ()
        if record.exc_info and record.exc_info[1] is not None:
            # A formatted traceback quotes the errors of the library, and these quote the URL.
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, mask_conversation_paths(text)
        return True


def mask_http_logs() -> None:
    """Make the loggers of urllib3 and aiohttp mask participants. Calling it again changes nothing."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, _ConversationPathFilter) for present in logger.filters):
            logger.addFilter(_ConversationPathFilter())
