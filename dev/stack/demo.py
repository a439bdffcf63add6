# SPDX-License-Identifier: Apache-2.0
"""
Export a conversation from the iP.1 sandbox to a real S3 server, with a real Airflow. ``make demo`` runs it.

It uses a temporary folder and free loopback ports, and deletes the folder at the end.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow_provider_ip1.api.phone import mask_number
from dev import stack
from dev.stack import ProgramError, S3Server

DAG_ID = "ip1_conversation_to_s3"
BUCKET = "ip1-demo"
KEY = "conversations/customer-000.jsonl.gz"
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", flush=True)


def presentable(line: bytes) -> str:
    """
    Return an exported message without personal data.

    :param line: the message as JSON.
    :return: the same with masked phone numbers, and the length of the text instead of the text.
    """
    message: dict[str, Any] = json.loads(line)
    for field in ("sender", "recipient"):
        message[field] = mask_number(message[field])
    message["body"] = f"<{len(message['body'])} characters>"
    return json.dumps(message)


def show(store: S3Server) -> None:
    """
    Print what arrived in S3.

    :raises ProgramError: if the object is missing or contains no messages.
    """
    client = store.client()
    if "Contents" not in client.list_objects_v2(Bucket=BUCKET, Prefix=KEY):
        raise ProgramError(f"Airflow has finished, but s3://{BUCKET}/{KEY} is not there")
    content: bytes = client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    lines = gzip.decompress(content).splitlines()
    if not lines:
        raise ProgramError(f"s3://{BUCKET}/{KEY} contains no messages")
    say(f"In S3:    s3://{BUCKET}/{KEY}")
    say(f"Size:     {len(content):,} bytes, compressed")
    say(f"Messages: {len(lines):,}")
    say("The first two, with masked numbers and without texts:")
    for line in lines[:2]:
        print(f"  {presentable(line)}")


def demo(directory: Path, messages: int) -> None:
    """
    Run the sandbox, the S3 server and Airflow, and export one conversation.

    :param directory: an empty or new folder for data and logs.
    :param messages: the number of messages in the conversation, at least 1.
    :raises ProgramError: if the conversation does not arrive.
    """
    home = directory / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in stack.airflow_environment(home).items() if not name.startswith("IP1_")} | {
        "IP1_S3_BUCKET": BUCKET
    }
    say("Starting the iP.1 sandbox and an S3 server (SeaweedFS)")
    with (
        stack.sandbox(directory, "--messages", str(messages), env=env) as sandbox_url,
        stack.s3_server(directory, buckets=[BUCKET], env=env) as store,
    ):
        say("Both have started")
        env["AIRFLOW_CONN_IP1_DEFAULT"] = stack.ip1_connection(sandbox_url)
        env["AIRFLOW_CONN_AWS_DEFAULT"] = stack.aws_connection(store)
        say("Airflow creates its metadata database (airflow db migrate)")
        stack.run_airflow(env, "db", "migrate", seconds=300)
        say(f"Airflow runs the DAG (airflow dags test {DAG_ID})")
        stack.run_airflow(env, "dags", "test", DAG_ID, seconds=600)
        show(store)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--directory", type=Path, help="keep data and logs in this folder")
    parser.add_argument(
        "--messages", type=int, default=5000, help="number of messages in the conversation (default: %(default)s)"
    )
    options = parser.parse_args()
    stack.stop_on_signals()
    try:
        if options.directory is not None:
            demo(options.directory.resolve(), options.messages)
        else:
            with tempfile.TemporaryDirectory(prefix="ip1-demo-", ignore_cleanup_errors=True) as directory:
                demo(Path(directory), options.messages)
    except ProgramError as error:
        say(f"Failed: {error}")
        sys.exit(1)
    say("Done. All servers have been stopped. To look around in Airflow, the sandbox and S3, run: make airflow")


if __name__ == "__main__":
    main()
