# SPDX-License-Identifier: Apache-2.0
"""
The error for each way a request can end without the response that was asked for.

iP.1 documents 400 and 404 for conversations. The other statuses are read as RFC 9110 defines them.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_provider_ip1.api.requests import Request
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1Error,
    IP1NotFoundError,
    IP1ParticipantError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)

_LATER = "Try again later, for example with the task's retries."


class ErrorTexts:
    """
    Makes the errors of one request.

    :param request: the request.
    :param base_url: of the connection.
    :param conn_id: the Airflow connection.
    """

    def __init__(self, request: Request, base_url: str, conn_id: str) -> None:
        self._request = request
        self._base_url = base_url
        self._connection = f"connection {conn_id!r}"
        #: How often the request was sent.
        self.attempts = 0

    def for_status(self, status: int, retry_after: float | None) -> IP1Error:
        """
        Return the error for a response whose status says that the request did not succeed.

        :param status: the HTTP status, other than 200.
        :param retry_after: seconds that the server asks to wait, if it does.
        """
        wait = f" The server asks to wait {retry_after:.0f} s." if retry_after is not None else ""
        if status == 401:
            return IP1AuthError(
                f"iP.1 rejected the API key of {self._connection} (401). "
                "Put a valid key of the account into the connection's password."
            )
        if status == 403:
            return IP1AuthError(f"iP.1 does not allow {self._connection} to do this (403). {self._advice_for_403()}")
        if status == 400 and self._request.names_participant:
            return IP1ParticipantError(
                f"iP.1 says that the participant is invalid (400, {self._request.label}). "
                "Give a phone number with country code and digits only, or a sender name. If it is correct, request "
                "fewer messages at once (page_size): the largest limit is not documented."
            )
        if status in (400, 422) and self._request.method == "POST":
            return IP1ResponseError(
                f"iP.1 refused the batch ({status}). Nothing was sent. Check that the sender is registered with iP.1, "
                "and that iP.1 accepts the recipients, the text, the datacoding and the delivery windows."
            )
        if status == 429:
            return IP1RateLimitError(
                self._no_usable_response("429, too many requests") + wait + " Lower requests_per_second of the "
                "connection, or run fewer tasks at once (an Airflow pool).",
                retry_after=retry_after,
            )
        if status >= 500 or status == 408:
            return IP1ServerError(
                self._no_usable_response(f"status {status}") + wait + f" {_LATER}",
                retry_after=retry_after,
            )
        return IP1ResponseError(
            self._no_usable_response(f"status {status}")
            + " Check the connection's host, and that the API is version 2."
        )

    def _advice_for_403(self) -> str:
        host = urlsplit(self._base_url).hostname or ""
        if host == "ip1sms.com" or host.endswith(".ip1sms.com"):
            return (
                "Add the addresses of the Airflow workers and the triggerer to those that the key may be used from, or "
                "use a key that has the right."
            )
        return f"Check that {self._base_url} is iP.1's API or a proxy that lets Airflow's requests through."

    def not_found(self) -> IP1NotFoundError:
        """Return the error for a 404 where a single thing was requested."""
        return IP1NotFoundError(f"iP.1 does not know {self._request.label} (404). Check the ids and the account.")

    def foreign_not_found(self) -> IP1ResponseError:
        """Return the error for a 404 whose body is neither empty nor JSON: a proxy or web server sends such pages."""
        return IP1ResponseError(
            self._no_usable_response("a 404 that does not come from iP.1's API (its body is not JSON)")
            + f" Check that {self._base_url} is the iP.1 API and that no proxy responds in its place."
        )

    def unreadable(self, problem: str) -> IP1ResponseError:
        """
        Return the error for a body that cannot be read.

        :param problem: what is wrong with it, without its content.
        """
        return IP1ResponseError(
            self._no_usable_response(f"a body that cannot be read ({problem})")
            + " Check that the connection's host is the iP.1 API and not a web page or proxy."
        )

    def network(self, reason: str) -> IP1ServerError:
        """
        Return the error for a request without a response.

        :param reason: why there is none.
        """
        return IP1ServerError(
            self._no_usable_response(reason) + f" Check the host of {self._connection} and the network. {_LATER}"
        )

    def settings(self, reason: str) -> IP1ConnectionError:
        """
        Return the error for settings that prevent any response.

        :param reason: what is wrong with them.
        """
        return IP1ConnectionError(
            self._no_usable_response(reason) + f" Check host, verify and proxies of {self._connection}."
        )

    def oversized(self, reason: str) -> IP1ResponseError:
        """
        Return the error for a response that must not be read to its end.

        :param reason: which limit it exceeds.
        """
        return IP1ResponseError(
            self._no_usable_response(reason) + " Request fewer messages at once (page_size), and check the host."
        )

    def redirected_away(self, status: int) -> IP1ConnectionError:
        """
        Return the error for a redirect to another server.

        :param status: the HTTP status.
        """
        return IP1ConnectionError(
            f"iP.1 redirects {self._request.label} to another server ({status}). The API key was not sent there. "
            f"Put the server's current address into the host of {self._connection}."
        )

    def too_many_redirects(self, most: int) -> IP1ResponseError:
        """
        Return the error for redirects that do not end.

        :param most: how many were followed.
        """
        return IP1ResponseError(self._no_usable_response(f"more than {most} redirects"))

    def _no_usable_response(self, what: str) -> str:
        tries = "attempt" if self.attempts == 1 else "attempts"
        return f"No usable response from iP.1 for {self._request.label} after {self.attempts} {tries}: {what}."
