# SPDX-License-Identifier: Apache-2.0
"""
The errors of the iP.1 provider.

They derive from :class:`RuntimeError`, not from ``AirflowException``: a poking and a deferred sensor then agree on
what fails and what is skipped, and the modules under ``api`` stay free of Airflow. Each text says what happened and
what to do about it. None carries an API key, a message body or a whole phone number.
"""

from __future__ import annotations


class IP1Error(RuntimeError):
    """Anything that went wrong between Airflow and iP.1."""


class IP1ConnectionError(IP1Error):
    """The settings of the Airflow connection cannot be used."""


class IP1AuthError(IP1Error):
    """iP.1 refused the API key (401), or the key may not be used from this address (403)."""


class IP1ParticipantError(IP1Error):
    """The participant is not a phone number or sender name that iP.1 accepts (400)."""


class _OutlastedError(IP1Error):
    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[_OutlastedError], tuple[str, float | None]]:
        return type(self), (str(self), self.retry_after)


class IP1RateLimitError(_OutlastedError):
    """
    iP.1 still answered 429 after the last attempt, or asked for a longer pause than a hook should wait.

    :param message: what happened and what to do.
    :param retry_after: seconds that the server asked to wait, ``None`` where it did not say.
    """


class IP1ServerError(_OutlastedError):
    """
    iP.1 answered 5xx or could not be reached until the last attempt, or asked for a longer pause than a hook waits.

    :param message: what happened and what to do.
    :param retry_after: seconds that the server asked to wait, ``None`` where it did not say.
    """


class IP1ResponseError(IP1Error):
    """iP.1 answered with something that is not what it documents: no JSON, another shape, an unexpected status."""


class IP1NotFoundError(IP1ResponseError):
    """iP.1 knows no such message, batch or path (404), where a single thing was asked for."""


class IP1PagingError(IP1Error):
    """The conversation changed beyond repair while it was read, or the server repeats itself."""


class IP1NoMessagesError(IP1Error):
    """There was nothing to export, and the operator was told that this is a failure (``on_empty="fail"``)."""


class IP1SendUnknownError(IP1Error):
    """It is unknown whether an SMS was sent. Sending it again could send it twice."""
