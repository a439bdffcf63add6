# SPDX-License-Identifier: Apache-2.0
"""The parts of the sandbox's answers: Link headers, errors, and answers that are broken on purpose."""

from __future__ import annotations

import json
import socket
import struct
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from aiohttp import web

from airflow_provider_ip1.sandbox.faults import Fault

_LINK_FORMS = {
    "no-semicolon": '{target} rel="{rel}"',
    "swallowed": '; rel="{rel}"',
    "unquoted": "{target};rel={rel}",
    "uppercase": '{target}; REL="{upper}"',
    "parameters": '{target}; title="Page, {rel}; of \\"all\\""; rel="{rel}"; type="application/json"',
}


def link_headers(
    url: str, *, style: str, foreign: str, start: int, limit: int, order: str, total: int, base: int
) -> list[str]:
    """
    The Link headers of a page.

    :param url: the list's URL without its query.
    :param style: one of :data:`airflow_provider_ip1.sandbox.faults.LINK_STYLES`.
    :param foreign: the origin that the style "foreign" names.
    :param start: the page's first row, from 0.
    :param limit: rows in a page.
    :param order: ASC or DESC.
    :param total: rows in the list.
    :param base: what the first row is called in URLs, 0 or 1.
    """
    if style == "none":
        return []
    if style == "garbage":
        return ["<<>;;, next"]
    starts = {"first": 0}
    if start > 0:
        starts["prev"] = max(start - limit, 0)
    if start + limit < total:
        starts["next"] = start + limit + (1 if style == "off-by-one" else 0)
    starts["last"] = (total - 1) // limit * limit
    if style == "self":
        starts = {"self": start} | starts
    if style == "reversed":
        starts = dict(reversed(starts.items()))
    if style in ("relative", "foreign"):
        url = (foreign if style == "foreign" else "") + "/" + url.split("/", 3)[3]
    links = []
    for rel, first in starts.items():
        target = f"<{url}?start={first + base}&limit={limit}&order={order}>"
        links.append(_LINK_FORMS.get(style, '{target}; rel="{rel}"').format(target=target, rel=rel, upper=rel.upper()))
    return links if style == "several" else [", ".join(links)]


def whole_body(response: web.Response) -> bytes:
    """The body of an answer that was made from bytes."""
    return response.body if isinstance(response.body, bytes) else b""


def json_answer(value: object, status: int = 200) -> web.Response:
    """An answer as compact JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


def problem(status: int, detail: str = "", errors: dict[str, str] | None = None) -> web.Response:
    """An error in the form of ASP.NET's ProblemDetails (RFC 9457), which is what a third-party client of iP.1 reads."""
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
    return web.Response(
        body=json.dumps(body).encode(), status=status, content_type="application/problem+json", headers=headers
    )


def fault_answer(fault: Fault) -> web.Response:
    """The error that a fault like ``429@3`` asks for."""
    status, kind = int(fault.value), fault.options.get("body", "problem")
    if kind == "problem":
        response = problem(status)
    elif kind == "gateway":  # the form of Azure API Management, which stands before iP.1's API
        response = web.json_response({"statusCode": status, "message": "Request was refused."}, status=status)
    elif kind == "html":
        page = f"<html><head><title>{status}</title></head><body>{status}</body></html>"
        response = web.Response(text=page, status=status, content_type="text/html")
    else:
        response = web.Response(text="Something went wrong." if kind == "text" else "", status=status)
    if "retry-after" in fault.options:
        response.headers["Retry-After"] = fault.options["retry-after"]
    elif "retry-after-date" in fault.options:
        response.headers["Retry-After"] = formatdate(
            time.time() + float(fault.options["retry-after-date"]), usegmt=True
        )
    return response


def cut(request: web.Request, *, reset: bool) -> web.Response:
    """End the connection without an answer: with RST, or with FIN."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if reset and connection is not None:
            # With no time to linger, closing sends RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)  # goes nowhere: there is no connection any more


async def truncate(request: web.Request, whole: web.Response, *, chunked: bool) -> web.StreamResponse:
    """Send the first half of an answer and end the connection."""
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
