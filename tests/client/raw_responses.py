# SPDX-License-Identifier: Apache-2.0
"""Responses byte by byte: what servers, proxies and load balancers send, well-formed or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

BODY = b'[{"id":"a1"},{"id":"b2"}]'
LINK = b'Link: <https://api.example/?start=0&limit=200&order=ASC>; rel="last"\r\n'
TYPE = b"Content-Type: application/json\r\n"


@dataclass(frozen=True)
class RawResponse:
    """
    What a server sends for one request.

    :param name: of the case.
    :param pieces: what it sends, one piece after the other.
    :param pause: seconds between the pieces.
    :param repeats: how often it sends the last piece; 0 for as long as somebody listens.
    """

    name: str
    pieces: tuple[bytes, ...]
    pause: float = 0.0
    repeats: int = 1


def with_length(body: bytes = BODY, *, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 " + status + b"\r\n" + TYPE + LINK + headers + length + b"\r\n" + body


def chunked(chunks: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + TYPE + LINK + headers + b"Transfer-Encoding: chunked\r\n\r\n" + chunks


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


WHOLE = chunk(BODY[:7]) + chunk(BODY[7:]) + b"0\r\n\r\n"


def cases() -> Iterator[RawResponse]:
    """Yield every case. Names are unique."""
    yield from _well_formed()
    yield from _statuses()
    yield from _headers()
    yield from _lengths()
    yield from _chunks()
    yield from _encodings()
    yield from _status_lines()
    yield from _slow_ones()
    yield from _endless_ones()


def _well_formed() -> Iterator[RawResponse]:
    yield RawResponse("length", (with_length(),))
    yield RawResponse("length-in-pieces", tuple(with_length()[i : i + 40] for i in range(0, 300, 40)), 0.005)
    yield RawResponse("chunked", (chunked(WHOLE),))
    yield RawResponse("until-close", (b"HTTP/1.1 200 OK\r\n" + TYPE + LINK + b"Connection: close\r\n\r\n" + BODY,))
    yield RawResponse("http-1.0", (b"HTTP/1.0 200 OK\r\n" + TYPE + LINK + b"\r\n" + BODY,))
    yield RawResponse("lower-case", (with_length().replace(b"Content-Length", b"content-length"),))
    yield RawResponse("no-reason", (with_length(status=b"200 "),))
    yield RawResponse("byte-order-mark", (with_length(b"\xef\xbb\xbf" + BODY),))
    yield RawResponse("keep-alive", (with_length(headers=b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),))
    for number in (100, 102, 103):
        interim = b"HTTP/1.1 %d Interim\r\n\r\n" % number
        yield RawResponse(f"{number}-then-200", (interim + with_length(),))
        yield RawResponse(f"{number}-three-times", (interim * 3 + with_length(),))
    yield RawResponse("103-with-headers", (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + with_length(),))


def _statuses() -> Iterator[RawResponse]:
    for status in (*range(201, 209), 226, 300, 304, 305, 306, *range(400, 419), *range(421, 430), 431, 451):
        if status not in (404, 408, 429):
            yield RawResponse(f"status-{status}", (with_length(status=b"%d Status" % status),))
    for status in (404, 408, 429, *range(500, 509), 510, 511, 520, 599, 600, 999):
        yield RawResponse(f"status-{status}", (with_length(b"<html>", status=b"%d Status" % status),))
    for status in (301, 302, 303, 307, 308):
        elsewhere = b"Location: https://elsewhere.example/\r\n"
        yield RawResponse(f"redirect-{status}", (with_length(b"", status=b"%d Go" % status, headers=elsewhere),))
        yield RawResponse(f"redirect-{status}-nowhere", (with_length(b"", status=b"%d Go" % status),))


def _headers() -> Iterator[RawResponse]:
    for name, line in {
        "without-colon": b"no colon here\r\n",
        "space-before-colon": b"X : a\r\n",
        "only-a-colon": b": a\r\n",
        "empty-value": b"X-Empty:\r\n",
        "no-space": b"X-Tight:a\r\n",
        "tab": b"X-Tab:\ta\r\n",
        "latin-1": b"X-Latin: \xe5\r\n",
        "utf-8": "X-Text: å\r\n".encode(),
        "null": b"X-Null: a\x00b\r\n",
        "control": b"X-Control: a\x07b\r\n",
        "name-with-space": b"X Name: a\r\n",
        "name-with-null": b"X\x00Name: a\r\n",
        "folded": b"X-Folded: a\r\n b\r\n",
        "folded-first": b" folded: a\r\n",
        "10-kilobytes": b"X-Long: " + b"a" * 10_000 + b"\r\n",
        "60-kilobytes": b"X-Long: " + b"a" * 60_000 + b"\r\n",
        "70-kilobytes": b"X-Long: " + b"a" * 70_000 + b"\r\n",
        "1-megabyte": b"X-Long: " + b"a" * 1_000_000 + b"\r\n",
        "ninety": b"".join(b"X-%d: a\r\n" % number for number in range(90)),
        "a-thousand": b"".join(b"X-%d: a\r\n" % number for number in range(1000)),
        "bare-line-feed": b"X-Bare: a\n",
        "bare-carriage-return": b"X-Bare: a\rb\r\n",
        "two-links": LINK,
        "cookie": b"Set-Cookie: track=me; Path=/\r\n",
        "unknown-charset": b"Content-Type: application/json; charset=nope\r\n",
        "retry-after": b"Retry-After: 3600\r\n",
    }.items():
        yield RawResponse(f"header-{name}", (with_length(headers=line),))
        yield RawResponse(f"header-{name}-404", (with_length(b"<html>", status=b"404 Not Found", headers=line),))


def _lengths() -> Iterator[RawResponse]:
    head = b"HTTP/1.1 200 OK\r\n" + TYPE + LINK
    length = len(BODY)
    for name, lines in {
        "too-long": b"Content-Length: %d\r\n" % (length + 5),
        "too-short": b"Content-Length: %d\r\n" % (length - 5),
        "zero": b"Content-Length: 0\r\n",
        "negative": b"Content-Length: -1\r\n",
        "text": b"Content-Length: many\r\n",
        "hexadecimal": b"Content-Length: 0x19\r\n",
        "plus": b"Content-Length: +%d\r\n" % length,
        "twice-the-same": b"Content-Length: %d\r\nContent-Length: %d\r\n" % (length, length),
        "twice-different": b"Content-Length: %d\r\nContent-Length: 5\r\n" % length,
        "list": b"Content-Length: %d, %d\r\n" % (length, length),
        "enormous": b"Content-Length: 99999999999999999999\r\n",
        "and-chunked": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    }.items():
        body = WHOLE if name == "and-chunked" else BODY
        yield RawResponse(f"length-{name}", (head + lines + b"\r\n" + body,))


def _chunks() -> Iterator[RawResponse]:
    for name, chunks in {
        "no-last": WHOLE[:-5],
        "no-last-line": WHOLE[:-2],
        "truncated": WHOLE[:15],
        "size-not-hexadecimal": b"zz\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size-negative": b"-5\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size-empty": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size-enormous": b"ffffffffffffffffffff\r\n" + BODY,
        "size-too-large": b"ff\r\n" + BODY + b"\r\n0\r\n\r\n",
        "size-too-small": b"5\r\n" + BODY + b"\r\n0\r\n\r\n",
        "extension": b"%x;name=value\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        "long-extension": b"%x;" % len(BODY) + b"x" * 70_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        "trailer": chunk(BODY) + b"0\r\nX-Trailer: a\r\n\r\n",
        "upper-case": b"%X\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        "leading-zeros": b"000%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        "not-chunked-at-all": BODY,
        "empty": b"0\r\n\r\n",
        "one-byte-each": b"".join(chunk(BODY[i : i + 1]) for i in range(len(BODY))) + b"0\r\n\r\n",
    }.items():
        yield RawResponse(f"chunks-{name}", (chunked(chunks),))
    for name, value in {"gzip-chunked": b"gzip, chunked", "unknown": b"nope", "identity": b"identity"}.items():
        head = b"HTTP/1.1 200 OK\r\n" + TYPE + LINK + b"Transfer-Encoding: " + value + b"\r\nConnection: close\r\n\r\n"
        yield RawResponse(f"transfer-{name}", (head + (WHOLE if b"chunked" in value else BODY),))


def _encodings() -> Iterator[RawResponse]:
    packed = gzip.compress(BODY)
    bomb = gzip.compress(b"[" + b" " * 20_000_000 + b"]")
    for name, encoding, body in (
        ("gzip", b"gzip", packed),
        ("x-gzip", b"x-gzip", packed),
        ("gzip-upper-case", b"GZIP", packed),
        ("gzip-truncated", b"gzip", packed[:-9]),
        ("gzip-garbage", b"gzip", b"not gzip at all"),
        ("gzip-not-compressed", b"gzip", BODY),
        ("gzip-twice", b"gzip, gzip", gzip.compress(packed)),
        ("gzip-bomb", b"gzip", bomb),
        ("gzip-two-members", b"gzip", gzip.compress(BODY[:7]) + gzip.compress(BODY[7:])),
        ("gzip-empty-body", b"gzip", b""),
        ("deflate", b"deflate", zlib.compress(BODY)),
        ("deflate-raw", b"deflate", zlib.compress(BODY)[2:-4]),
        ("deflate-bomb", b"deflate", zlib.compress(b"[" + b" " * 20_000_000 + b"]")),
        ("bomb-in-a-bomb", b"gzip, gzip", gzip.compress(bomb)),
        ("identity", b"identity", BODY),
        ("unknown", b"nope", BODY),
    ):
        header = b"Content-Encoding: " + encoding + b"\r\n"
        yield RawResponse(f"encoding-{name}", (with_length(body, headers=header),))
        yield RawResponse(
            f"encoding-{name}-chunked", (chunked(chunk(body) + b"0\r\n\r\n" if body else b"0\r\n\r\n", header),)
        )


def _status_lines() -> Iterator[RawResponse]:
    rest = with_length().partition(b"\r\n")[2]
    for name, line in {
        "nothing": b"",
        "garbage": b"\x16\x03\x01\x02\x00",
        "text": b"Welcome to this server\r\n",
        "http-0.9": BODY,
        "http-2": b"HTTP/2 200 OK\r\n" + rest,
        "http-1.2": b"HTTP/1.2 200 OK\r\n" + rest,
        "other-protocol": b"ICY 200 OK\r\n" + rest,
        "no-status": b"HTTP/1.1\r\n" + rest,
        "status-text": b"HTTP/1.1 OK 200\r\n" + rest,
        "status-99": b"HTTP/1.1 99 Low\r\n" + rest,
        "status-1000": b"HTTP/1.1 1000 High\r\n" + rest,
        "status-negative": b"HTTP/1.1 -200 OK\r\n" + rest,
        "long-reason": b"HTTP/1.1 200 " + b"a" * 70_000 + b"\r\n" + rest,
        "only-a-status-line": b"HTTP/1.1 200 OK\r\n",
        "no-end-of-headers": b"HTTP/1.1 200 OK\r\n" + TYPE,
        "blank-line-first": b"\r\n" + with_length(),
    }.items():
        yield RawResponse(f"status-line-{name}", (line,))


def _slow_ones() -> Iterator[RawResponse]:
    """Responses that never end, although something arrives before each read times out."""
    yield RawResponse("slow-status-line", (b"H",), 0.05, repeats=0)
    yield RawResponse("slow-headers", (b"HTTP/1.1 200 OK\r\n", *(b"X-%d: a\r\n" % n for n in range(90))), 1.0)
    yield RawResponse("slow-header", (b"HTTP/1.1 200 OK\r\nX-Slow: ", *(b"a" for _ in range(5000))), 0.05)
    yield RawResponse("endless-100", (b"HTTP/1.1 100 Continue\r\n\r\n",), 0.05, repeats=0)
    yield RawResponse("slow-body", (with_length(b" " * 100_000)[:-100_000], *(b" " for _ in range(5000))), 0.05)
    yield RawResponse("slow-chunks", (chunked(b""), *(chunk(b" ") for _ in range(5000))), 0.05)
    yield RawResponse("silence", (b"",), 0.05, repeats=0)


def _endless_ones() -> Iterator[RawResponse]:
    """Responses that never end and arrive as fast as the client reads them."""
    head = b"HTTP/1.1 200 OK\r\n"
    for name, begin, line in (
        ("headers", head, b"a: b\r\n"),
        ("long-headers", head, b"X-Long: " + b"a" * 60_000 + b"\r\n"),
        ("header", head + b"X-Long: ", b"a" * 60_000),
        ("interim-responses", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("interim-headers", b"HTTP/1.1 103 Early Hints\r\n", b"Link: </x>\r\n"),
        ("trailers", chunked(chunk(BODY) + b"0\r\n"), b"a: b\r\n"),
        ("trailer", chunked(chunk(BODY) + b"0\r\nX-Long: "), b"a" * 60_000),
        ("chunk-extension", chunked(b"5;"), b"x" * 60_000),
        ("chunk-size", chunked(b""), b"0" * 60_000),
    ):
        yield RawResponse(f"endless-{name}", (begin, line * (500_000 // len(line))), repeats=0)
    many = b"a: b\r\n" * 300_000
    yield RawResponse("many-equal-headers", (with_length(headers=many),))
    yield RawResponse(
        "many-equal-headers-in-an-interim", (head.replace(b"200", b"103") + many + b"\r\n" + with_length(),)
    )
    yield RawResponse("many-equal-headers-behind-the-body", (with_length() + head + many + b"\r\n",))
