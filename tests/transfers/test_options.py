# SPDX-License-Identifier: Apache-2.0
"""The options of an export are the same everywhere, and Airflow sees each of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG  # type: ignore[no-redef,attr-defined]

from airflow_provider_ip1.compat import AirflowException, BaseOperator
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.transfers.options import (
    BaseOperatorArguments,
    ExportArguments,
    ExportOptions,
    OperatorArguments,
)

#: Each option, with a value that is not its default.
OTHERS: dict[str, Any] = {
    "s3_key": "out.csv.gz",
    "s3_bucket": "lake",
    "direction": "mo",
    "file_format": "csv",
    "compression": "gzip",
    "since": "2026-01-01",
    "until": "2026-02-01",
    # A value would exclude others. Blank is not the default, and an error when the task runs.
    "checkpoint": "",
    "status_lookback": None,
    "on_empty": "skip",
    "redact": {"body": "drop"},
    "replace": "always",
    "verify_total": True,
    "extra_args": {"ACL": "private"},
    "page_size": 7,
    "concurrency": 2,
    "ip1_conn_id": "ip1_other",
    "aws_conn_id": None,
}


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def test_every_option_is_declared_once_for_type_checkers_and_once_with_its_default() -> None:
    declared = {**OperatorArguments.__annotations__}
    for name in BaseOperatorArguments.__annotations__:
        del declared[name]
    options = {field.name: field for field in fields(ExportOptions)}
    assert set(declared) == set(options) == set(OTHERS)
    for name in ExportArguments.__annotations__:
        assert declared[name].__forward_arg__ == options[name].type


@pytest.mark.parametrize("function", [ConversationToS3Operator, MessagesToS3Operator, export_conversations])
def test_the_signature_shows_every_option_with_its_type_and_default(function: Callable[..., Any]) -> None:
    shown = parameters(function)
    for field in fields(ExportOptions):
        parameter = shown[field.name]
        assert parameter.annotation not in ("", inspect.Parameter.empty)
        if field.name == "s3_key":
            assert parameter.default is inspect.Parameter.empty
        else:
            assert parameter.default == field.default
    assert ("participant" in shown) == (function is not MessagesToS3Operator)


def test_every_argument_of_this_airflow_is_known_to_type_checkers() -> None:
    known = set(BaseOperatorArguments.__annotations__)
    ours = {name for name, one in parameters(BaseOperator.__init__).items() if one.kind is one.KEYWORD_ONLY}
    assert ours | {"task_id"} <= known | {"self"}


@pytest.mark.parametrize("operator", [ConversationToS3Operator, MessagesToS3Operator])
def test_default_args_reach_every_option(operator: type[MessagesToS3Operator]) -> None:
    own = {"participant": MAIN} if operator is ConversationToS3Operator else {}
    with DAG("defaults", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args=OTHERS | own):
        task = operator(task_id="export")
        explicit = operator(task_id="explicit", s3_key="mine.csv.gz", on_empty="fail", retries=3)
    assert {name: getattr(task, name) for name in OTHERS | own} == OTHERS | own
    assert (explicit.s3_key, explicit.on_empty, explicit.retries) == ("mine.csv.gz", "fail", 3)
    assert explicit.replace == "always"


@pytest.mark.parametrize("name", OTHERS)
def test_every_option_can_be_mapped(name: str) -> None:
    with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        ConversationToS3Operator.partial(
            task_id="export",
            participant=MAIN,
            retries=2,
            **{one: value for one, value in OTHERS.items() if one != name},
        ).expand(**{name: [OTHERS[name]]})
        ConversationToS3Operator.partial(task_id="numbers", **OTHERS).expand(participant=[MAIN, SEVEN])
        MessagesToS3Operator.partial(task_id="pairs").expand_kwargs([OTHERS])
    mapped = dag.get_task("export")
    task = mapped.unmap({name: OTHERS[name]})
    assert {one: getattr(task, one) for one in OTHERS} == OTHERS
    assert (task.participant, task.retries) == (MAIN, 2)


#: Airflow 2 raises an AirflowException instead of a TypeError.
REFUSED = (TypeError, AirflowException)


def test_an_unknown_argument_is_refused() -> None:
    for unknown in ({"encrypt": True}, {"acl_policy": "private"}, {"verify": False}, {"partcipants": MAIN}):
        with pytest.raises(REFUSED, match=next(iter(unknown))):
            MessagesToS3Operator(task_id="export", s3_key="out.jsonl", **unknown)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=next(iter(unknown))):
            export_conversations(MAIN, "s3://lake/out.jsonl", **unknown)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=next(iter(unknown))):
            ConversationToS3Operator.partial(task_id="export", **unknown)


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(REFUSED, match="s3_key"):
        MessagesToS3Operator(task_id="export")  # type: ignore[call-arg]
    with pytest.raises(REFUSED, match="participant"):
        ConversationToS3Operator(task_id="export", s3_key="out.jsonl")  # type: ignore[call-arg]


def test_an_output_of_another_task_makes_a_dependency() -> None:
    with DAG("outputs", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        numbers = MessagesToS3Operator(task_id="first", s3_key="s3://lake/out.jsonl")
        task = ConversationToS3Operator(task_id="export", participant=MAIN, s3_key="s3://lake/a", since=numbers.output)
    assert task.upstream_task_ids == {"first"}


def test_the_options_are_frozen_and_check_themselves() -> None:
    options = ExportOptions(s3_key="s3://lake/out.jsonl")
    assert options.status_lookback == timedelta(days=3)
    with pytest.raises(AttributeError):
        options.replace = False  # type: ignore[misc]
    with pytest.raises(ValueError, match="^on_empty: "):
        ExportOptions(s3_key="s3://lake/out.jsonl", on_empty="ignore")  # type: ignore[arg-type]
