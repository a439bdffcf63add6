# SPDX-License-Identifier: Apache-2.0
"""
The errors of the iP.1 provider.

They derive from :class:`RuntimeError`, not from ``AirflowException``. Poking and deferred sensors therefore agree on
what fails and what is skipped, and the modules under ``api`` do not depend on Airflow. Every message says what happened
and what to do about it. None contains an API key, a message text or a complete phone number.
"""

from __future__ import annotations


class IP1Error(RuntimeError):
    """The base class of all errors of this provider."""


class IP1ConnectionError(IP1Error):
    """The Airflow connection is missing or wrong, or its host is not iP.1's API."""


class IP1AuthError(IP1Error):
    """iP.1 rejected the API key (401), or does not allow its use from this address (403)."""


class IP1ParticipantError(IP1Error, ValueError):
    """A number lacks its country code or is not clearly one number, or iP.1 does not accept the participant (400)."""


class _RetryableError(IP1Error):
    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class IP1RateLimitError(_RetryableError):
    """
    iP.1 responded 429 to the last attempt, or asked for a longer pause than a hook should wait.

    :param message: what happened and what to do.
    :param retry_after: seconds that the server asked to wait; ``None`` if it did not say.
    """


class IP1ServerError(_RetryableError):
    """
    iP.1 responded 5xx or could not be reached, up to the last attempt, or asked for a longer pause than a hook waits.

    :param message: what happened and what to do.
    :param retry_after: seconds that the server asked to wait; ``None`` if it did not say.
    """


class IP1ResponseError(IP1Error):
    """The response is not what iP.1 documents: not JSON, of another shape, or with an unexpected status."""


class IP1NotFoundError(IP1ResponseError):
    """iP.1 does not know the requested message or batch (404)."""


class IP1RefusedError(IP1ResponseError):
    """iP.1 refused an SMS (400, 422). Nothing was sent. The same request would be refused again."""


class IP1PagingError(IP1Error):
    """A list changed too much while it was read, ended too early, or does not end."""


class IP1NoMessagesError(IP1Error):
    """There was nothing to export, and ``on_empty`` forbids an empty object or replacing messages with one."""


class IP1SendUnknownError(IP1Error):
    """
    It is unknown whether an SMS was sent. Sending it again could send it twice.

    :param message: what happened and what to do.
    :param was_accepted: whether the server responded 2xx, so that the SMS was most likely sent.
    """

    def __init__(self, message: str, was_accepted: bool = False) -> None:
        super().__init__(message)
        self.was_accepted = was_accepted


class IP1ReferenceError(IP1Error):
    """iP.1 lists a batch with the reference of an SMS, and it is not this SMS. Nothing was sent."""
