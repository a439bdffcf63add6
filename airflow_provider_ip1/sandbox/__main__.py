# SPDX-License-Identifier: Apache-2.0
"""The sandbox's command line: ``python -m airflow_provider_ip1.sandbox``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shlex
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from airflow_provider_ip1.sandbox import participants
from airflow_provider_ip1.sandbox.account import SENDER_RULES
from airflow_provider_ip1.sandbox.airflow_connection import airflow_connection
from airflow_provider_ip1.sandbox.app import DEFAULT_KEY, Sandbox
from airflow_provider_ip1.sandbox.faults import GRAMMAR as FAULTS
from airflow_provider_ip1.sandbox.pushes import RETRY_SECONDS
from airflow_provider_ip1.sandbox.replies import GRAMMAR as REPLIES
from airflow_provider_ip1.sandbox.server import start_site
from airflow_provider_ip1.sandbox.start_batches import GRAMMAR as BATCHES
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES, HISTORY_END

DESCRIPTION = """\
A local stand-in for the iP.1 SMS API v2. It is not iP.1: it sends no SMS, its messages are invented, and its phone
numbers are reserved for fiction. Use it to build and test DAGs without an iP.1 account.

iP.1 documents: the paths, start/limit/order and their defaults, the Link header, the messages' fields, the status
codes, the summary, 400 for an invalid participant, 404 for no messages, registering senders, the blacklist, the fields
of /api/me, and which pushes there are, with their fields and retries.
Assumed, because no public document says: the bodies of errors, 401 and 403, the response past the end (an empty
list), the largest limit (10000), direction 0 = outgoing, a status's duration 1 = final, integers for direction, type
and datacoding, 405 for a number on the blacklist, the responses to changes of senders and blacklist. Most of these can
be changed with --fault. The sandbox's README.md has a list of all of them.
"""


def _demo_batch(name: str) -> str:
    batch_id, finals = DEMO_BATCHES[name]
    statuses = ", ".join(dict.fromkeys("stays at 112" if final is None else str(final) for final in finals))
    return f"  {batch_id}   {name}: {len(finals)} message{'s' if len(finals) > 1 else ''}, {statuses}"


EPILOG = f"""\
conversations:
  {participants.MAIN}   the main one, with --messages messages
  {participants.SEVEN}   7 messages
  {participants.SINGLE}   1 message
  {participants.EMPTY}   none (404)
  {participants.LIVE}   the messages of the batches below
  {participants.NAME}       a sender name instead of a number, 12 messages
  "{participants.NAME_WITH_SPACE}"   a sender name with a space, 3 messages
  with --conversations N also the first N of
  {participants.GENERATED[0]}-99, 46313900600-99, 46406280400-99, 46846500400-98, 46980319200-99

batches on their way when the sandbox starts (statuses 101, 102, 110, 112, and after --delivery-seconds the last one):
{chr(10).join(map(_demo_batch, DEMO_BATCHES))}
  Their references are demo-NAME. The message of the first one has the id 69000000d000001000000000.
  POST /v2/batches with sender, recipients and body sends another batch.

batches:
{BATCHES}

replies:
{REPLIES}

pushes:
  The sandbox POSTs each status of a batch with a deliveryReportUrl to this URL, and each incoming message to
  --incoming-url. It repeats what does not get a 200, at most ten times, 600 seconds apart.
  An SMS can be received from a shell, too:
  curl -H 'Authorization: Bearer {DEFAULT_KEY}' http://127.0.0.1:8099/sandbox/incoming \\
    -d '{{"sender": "{participants.SEVEN}", "body": "Ja tack"}}'

faults:
{FAULTS}

example:
  python -m airflow_provider_ip1.sandbox --messages 5000 --fault 503@2-3 --fault 429@5:retry-after=2
  curl -H 'Authorization: Bearer {DEFAULT_KEY}' 'http://127.0.0.1:8099/v2/conversations/{participants.MAIN}?limit=3'
"""


def _time(text: str) -> datetime:
    if text == "now":
        return datetime.now(UTC)
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m airflow_provider_ip1.sandbox",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add("--port", type=int, default=8099, help="port to listen on; 0 picks a free one (default: %(default)s)")
    add("--key", default=DEFAULT_KEY, help="the API key to accept (default: %(default)s)")
    add("--messages", type=int, default=5000, help="messages in the main conversation (default: %(default)s)")
    add(
        "--conversations",
        type=int,
        default=0,
        metavar="N",
        help=f"further conversations of 20 to 120 messages, up to {len(participants.GENERATED)} (default: %(default)s)",
    )
    add("--seed", type=int, default=1, help="the same seed makes the same messages (default: %(default)s)")
    add(
        "--latency",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="each response takes at least this long (default: 0)",
    )
    add(
        "--delivery-seconds",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="time from accepted to the final status (default: %(default)s)",
    )
    add(
        "--history-end",
        type=_time,
        default=HISTORY_END,
        metavar="TIME",
        help="no past message is newer; ISO 8601 or 'now' (default: 2026-11-01T00:00Z, always the same bytes)",
    )
    add("--gzip", action="store_true", help="compress responses for clients that accept it")
    add(
        "--batch",
        action="append",
        default=[],
        metavar="SPEC",
        help="send a batch when the sandbox starts, as described below; may be repeated",
    )
    add("--reply", action="append", default=[], metavar="SPEC", help="what recipients reply; may be repeated")
    add(
        "--senders",
        choices=SENDER_RULES,
        default="any",
        help="who can send: any sender (the default); the registered ones, see /v2/me/senders; or, as in a trial "
        "account, only iP1 and iP1sms. Other messages end as 403",
    )
    add(
        "--balance",
        type=float,
        metavar="SEK",
        help="what the account has paid in advance; messages beyond that end as 402 (default: it pays later)",
    )
    add("--incoming-url", metavar="URL", help="push incoming messages to this URL (default: nowhere)")
    add(
        "--push-retry-seconds",
        type=float,
        default=RETRY_SECONDS,
        metavar="SECONDS",
        help="time until a push that did not get a 200 is repeated (default: %(default)s)",
    )
    add("--push-anywhere", action="store_true", help="push to any address (default: only to this machine)")
    add("--fault", action="append", default=[], metavar="SPEC", help="misbehave as described below; may be repeated")
    add("--log", action="store_true", help="log each request to standard error, with the participant masked")
    return result


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _serve(sandbox: Sandbox, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner, port = await start_site(sandbox, host, port)
    print(f"iP.1 sandbox (a stand-in, not iP.1) ready on http://{_shown(host)}:{port}")
    # Clients reach a server that listens on all addresses at this machine's loopback address.
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compares, does not bind
    connection = airflow_connection(f"http://{_shown(reached)}:{port}", sandbox.key)
    print(f"API key: {sandbox.key}")
    print(f"AIRFLOW_CONN_IP1_DEFAULT={shlex.quote(connection)}", flush=True)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the sandbox until SIGTERM or SIGINT.

    :return: 0, or 1 if it cannot listen. Invalid arguments exit with 2.
    """
    options = parser()
    args = options.parse_args(arguments)
    if args.log:
        logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        sandbox = Sandbox(
            messages=args.messages,
            conversations=args.conversations,
            seed=args.seed,
            key=args.key,
            faults=args.fault,
            latency=args.latency,
            delivery_seconds=args.delivery_seconds,
            replies=args.reply,
            batches=args.batch,
            senders=args.senders,
            balance=args.balance,
            incoming_url=args.incoming_url,
            push_retry_seconds=args.push_retry_seconds,
            push_anywhere=args.push_anywhere,
            history_end=args.history_end,
            compress=args.gzip,
        )
    except ValueError as error:
        options.error(str(error))
    try:
        asyncio.run(_serve(sandbox, args.host, args.port))
    except OSError as error:
        print(f"Cannot listen on {args.host} port {args.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
