# SPDX-License-Identifier: Apache-2.0
"""
Start the iP.1 sandbox, a real S3 server and Airflow on free loopback ports.

``make demo``, ``make airflow``, the tests and the benchmarks all start their servers with these functions. They install
nothing, and every server stops with the program that started it.
"""

from airflow_provider_ip1.testing.loopback import free_ports, get
from airflow_provider_ip1.testing.processes import Process, ProgramError, running
from airflow_provider_ip1.testing.seaweedfs import S3Server, aws_connection, s3_server
from dev.stack.ip1_sandbox import SANDBOX_KEY, ip1_connection, sandbox
from dev.stack.local_airflow import (
    AirflowServer,
    airflow_environment,
    airflow_standalone,
    patient_database,
    run_airflow,
)
from dev.stack.python_server import python_server
from dev.stack.stop_signals import stop_on_signals

__all__ = [
    "SANDBOX_KEY",
    "AirflowServer",
    "Process",
    "S3Server",
    "ProgramError",
    "airflow_environment",
    "airflow_standalone",
    "aws_connection",
    "free_ports",
    "get",
    "ip1_connection",
    "patient_database",
    "python_server",
    "run_airflow",
    "running",
    "s3_server",
    "sandbox",
    "stop_on_signals",
]
