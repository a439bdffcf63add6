# SPDX-License-Identifier: Apache-2.0
"""The options of an export are the same everywhere, and Airflow sees each of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG  # type: ignore[no-redef,attr-defined]

from airflow_provider_ip1.compat import BaseOperator
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.conversation_to_wasb import ConversationToWasbOperator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.transfers.messages_to_wasb import MessagesToWasbOperator
from airflow_provider_ip1.transfers.options import BaseOperatorArguments, ExportArguments, ExportOptions
from airflow_provider_ip1.transfers.to_s3 import S3Arguments, S3Options
from airflow_provider_ip1.transfers.to_wasb import WasbArguments, WasbOptions
from tests.airflow_names import AirflowException

#: Each option of an export to any store, with a value that is not its default.
COMMON: dict[str, Any] = {
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
}
#: Each option of an export to S3.
OTHERS: dict[str, Any] = COMMON | {"s3_key": "out.csv.gz", "s3_bucket": "lake", "aws_conn_id": None}
#: Each option of an export to Azure.
OF_AZURE: dict[str, Any] = COMMON | {"blob_name": "out.csv.gz", "container_name": "lake", "wasb_conn_id": "wasb_other"}
STORES = [(S3Arguments, S3Options, OTHERS), (WasbArguments, WasbOptions, OF_AZURE)]


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


@pytest.mark.parametrize(("arguments", "options", "others"), STORES)
def test_every_option_is_declared_once_for_type_checkers_and_once_with_its_default(
    arguments: Any, options: type[ExportOptions], others: dict[str, Any]
) -> None:
    declared = {**arguments.__annotations__}
    for name in BaseOperatorArguments.__annotations__:
        del declared[name]
    found = {field.name: field for field in fields(options)}
    assert set(declared) == set(found) == set(others)
    for name in ExportArguments.__annotations__:
        assert declared[name].__forward_arg__ == found[name].type


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (ConversationToS3Operator, S3Options),
        (MessagesToS3Operator, S3Options),
        (ConversationToWasbOperator, WasbOptions),
        (MessagesToWasbOperator, WasbOptions),
        (export_conversations, ExportOptions),
    ],
)
def test_the_signature_shows_every_option_with_its_type_and_default(
    function: Callable[..., Any], options: type[ExportOptions]
) -> None:
    shown = parameters(function)
    for field in fields(options):
        parameter = shown[field.name]
        assert parameter.annotation not in ("", inspect.Parameter.empty)
        assert parameter.default == (inspect.Parameter.empty if field.default is MISSING else field.default)
        assert f":param {field.name}: " in (function.__doc__ or "")
    is_of_account = function in (MessagesToS3Operator, MessagesToWasbOperator)
    assert ("participant" in shown) == (not is_of_account)


def test_every_argument_of_this_airflow_is_known_to_type_checkers() -> None:
    known = set(BaseOperatorArguments.__annotations__)
    ours = {name for name, one in parameters(BaseOperator.__init__).items() if one.kind is one.KEYWORD_ONLY}
    assert ours | {"task_id"} <= known | {"self"}


@pytest.mark.parametrize(
    ("operator", "others", "key"),
    [
        (ConversationToS3Operator, OTHERS | {"participant": MAIN}, "s3_key"),
        (MessagesToS3Operator, OTHERS, "s3_key"),
        (ConversationToWasbOperator, OF_AZURE | {"participant": MAIN}, "blob_name"),
        (MessagesToWasbOperator, OF_AZURE, "blob_name"),
    ],
)
def test_default_args_reach_every_option(operator: type[Any], others: dict[str, Any], key: str) -> None:
    with DAG("defaults", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args=others):
        task = operator(task_id="export")
        explicit = operator(task_id="explicit", **{key: "mine.csv.gz"}, on_empty="fail", retries=3)
    assert {name: getattr(task, name) for name in others} == others
    assert (getattr(explicit, key), explicit.on_empty, explicit.retries) == ("mine.csv.gz", "fail", 3)
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


@pytest.mark.parametrize("name", OF_AZURE)
def test_every_option_of_azure_can_be_mapped(name: str) -> None:
    given = {one: value for one, value in OF_AZURE.items() if one != name}
    with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        ConversationToWasbOperator.partial(task_id="export", participant=MAIN, **given).expand(
            **{name: [OF_AZURE[name]]}
        )
    task = dag.get_task("export").unmap({name: OF_AZURE[name]})
    assert {one: getattr(task, one) for one in OF_AZURE} == OF_AZURE


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
    options = S3Options(s3_key="s3://lake/out.jsonl")
    assert options.status_lookback == timedelta(days=3)
    with pytest.raises(AttributeError):
        options.replace = False  # type: ignore[misc]
    with pytest.raises(ValueError, match="^on_empty: "):
        S3Options(s3_key="s3://lake/out.jsonl", on_empty="ignore")  # type: ignore[arg-type]
