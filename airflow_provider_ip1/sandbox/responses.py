# SPDX-License-Identifier: Apache-2.0
"""Responses of the sandbox: JSON, errors, and responses that are broken on purpose."""

from __future__ import annotations

import socket
import struct
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from aiohttp import web

from airflow_provider_ip1.sandbox.faults import Fault
from airflow_provider_ip1.sandbox.past import to_json


class Refused(Exception):
    """
    Ends a request with an error response.

    :param status: the HTTP status.
    :param detail: what was wrong.
    :param errors: what was wrong with which field.
    """

    def __init__(self, status: int, detail: str = "", **errors: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


def raw_json_response(body: bytes, status: int = 200) -> web.Response:
    """Return a response whose body is JSON already."""
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


def json_response(value: object, status: int = 200) -> web.Response:
    """Return a value as compact JSON."""
    return raw_json_response(to_json(value), status)


def whole_body(response: web.Response) -> bytes:
    """Return the body of a response that was made from bytes."""
    return response.body if isinstance(response.body, bytes) else b""


def problem(status: int, detail: str = "", errors: dict[str, str] | None = None) -> web.Response:
    """Return an error as ASP.NET's ProblemDetails (RFC 9457), the format that a third-party client of iP.1 reads."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if errors:
        body["title"] = "One or more validation errors occurred."
        body["errors"] = {name: [text] for name, text in errors.items()}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return web.Response(body=to_json(body), status=status, content_type="application/problem+json", headers=headers)


def fault_response(fault: Fault, now: float) -> web.Response:
    """Return the error that a fault like ``429@3`` asks for, at a time in seconds since 1970."""
    status, kind = int(fault.value), fault.options.get("body", "problem")
    if kind == "problem":
        response = problem(status)
    elif kind == "gateway":  # Azure API Management, which iP.1's API is behind.
        response = web.json_response({"statusCode": status, "message": "Request was refused."}, status=status)
    elif kind == "html":
        page = f"<html><head><title>{status}</title></head><body>{status}</body></html>"
        response = web.Response(text=page, status=status, content_type="text/html")
    elif kind == "text":
        # The text that ingress-nginx sends when no backend matches.
        text = "default backend - 404" if status == 404 else "Something went wrong."
        response = web.Response(text=text, status=status)
    else:
        response = web.Response(text="", status=status)
    if "retry-after" in fault.options:
        response.headers["Retry-After"] = fault.options["retry-after"]
    elif "retry-after-date" in fault.options:
        due = now + float(fault.options["retry-after-date"])
        response.headers["Retry-After"] = formatdate(due, usegmt=True)
    return response


def disconnect(request: web.Request, *, reset: bool) -> web.Response:
    """Close the connection without a response, with RST or with FIN."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if reset and connection is not None:
            # Without time to linger, closing sends RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)  # aiohttp wants a response; this one goes nowhere.


async def truncate(request: web.Request, whole: web.Response, *, chunked: bool) -> web.StreamResponse:
    """Send the first half of a response and close the connection."""
    body = whole_body(whole)
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    if chunked:
        response.headers.popall("Content-Length", None)
        response.enable_chunked_encoding()
    else:
        response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
