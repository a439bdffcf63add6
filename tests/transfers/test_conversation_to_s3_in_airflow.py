# SPDX-License-Identifier: Apache-2.0
"""What Airflow learns from an export: XCom, asset events, metrics, the link, lineage."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from packaging.version import Version

from airflow_provider_ip1.compat import Stats
from airflow_provider_ip1.exceptions import IP1AuthError
from airflow_provider_ip1.formats.table import COLUMN_NAMES
from airflow_provider_ip1.links.s3 import S3ObjectLink
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.stores.s3 import S3Store
from airflow_provider_ip1.transfers.stores.s3_object import S3Object
from dev import stack
from tests.airflow_runs import AIRFLOW, run_script
from tests.transfers.bucket_contents import Bucket
from tests.transfers.sandbox_conversations import messages_of

DAG_FILE = """
    import json
    import sys
    from datetime import datetime, timezone

    try:
        from airflow.sdk import DAG, Asset, task
    except ImportError:
        from airflow import DAG, Dataset as Asset
        from airflow.decorators import task

    from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

    REPORT = sys.argv[1] if __name__ == "__main__" else None

    with DAG(
        dag_id="lake",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        params={"bucket": "BUCKET", "since": None, "day": "2026-10-31"},
        render_template_as_native_obj=True,
    ) as dag:

        @task
        def numbers():
            return ["46701740606", "46701740605"]

        export = ConversationToS3Operator(
            task_id="export",
            participant=numbers(),
            s3_bucket="{{ params.bucket }}",
            s3_key="lake/{{ params.day }}.jsonl.gz",
            since="{{ params.since }}",
            until="{{ params.day }}",
            outlets=[Asset("s3://BUCKET/lake")],
        )
        mapped = ConversationToS3Operator.partial(
            task_id="mapped", s3_bucket="BUCKET", s3_key="lake/customer-{{ ti.map_index }}.jsonl"
        ).expand(participant=numbers())

        @task
        def keep(exported, several):
            with open(REPORT, "w") as file:
                json.dump({"exported": exported, "several": list(several)}, file)

        keep(export.output, mapped.output)

    if __name__ == "__main__":
        run = dag.test()
        print("ended as", run.state)
        from airflow.settings import Session
        try:
            from airflow.models.asset import AssetEvent
        except ImportError:
            from airflow.models.dataset import DatasetEvent as AssetEvent
        try:
            from airflow.models.xcom import XComModel
        except ImportError:  # Airflow 2 looks for a link when somebody opens the task
            XComModel = None
        with Session() as session:
            events = [event.extra for event in session.query(AssetEvent)]
            links = XComModel and [
                x.value.strip('"')
                for x in session.query(XComModel).filter(XComModel.task_id == "export")
                if x.key == "_link_S3ObjectLink"
            ]
        with open(REPORT) as file:
            report = json.load(file)
        with open(REPORT, "w") as file:
            json.dump(report | {"events": events, "links": links}, file)
"""


@pytest.mark.slow
def test_a_dag_run_produces_results_events_and_the_link(
    sandbox: SandboxServer,
    ip1_connection: str,
    bucket: Bucket,
    airflow_db: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dag_file, report = tmp_path / "dags" / "lake.py", tmp_path / "report.json"
    dag_file.parent.mkdir()
    dag_file.write_text(textwrap.dedent(DAG_FILE).replace("BUCKET", bucket.name))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dag_file.parent))
    if AIRFLOW < Version("3.1"):
        # Otherwise its dag.test() does not know the asset. Not in a fork: Airflow 2 decides for a folder when it
        # imports its commands.
        subprocess.run([sys.executable, "-m", "airflow", "dags", "reserialize"], check=True, timeout=300)
    code, log = run_script(dag_file, str(report))
    assert code == 0, log[-5000:]
    outcome = json.loads(report.read_text())
    assert outcome["exported"]["uri"] == f"s3://{bucket.name}/lake/2026-10-31.jsonl.gz"
    assert 4900 < outcome["exported"]["messages"] < 5007
    assert outcome["events"] == [outcome["exported"]]
    # Airflow shows no button for an empty address.
    assert outcome["links"] == ([""] if AIRFLOW >= Version("3.0") else None)
    assert [result["messages"] for result in outcome["several"]] == [7, 5000]
    assert bucket.keys() == [
        "lake/2026-10-31.jsonl.gz", "lake/customer-0.jsonl", "lake/customer-1.jsonl"
    ]  # fmt: skip
    # Airflow logs the numbers that the first task returned. No line of this provider may contain them.
    ours = ("ConversationToS3Operator", "hooks.ip1", "{export.py:")
    our_lines = [line for line in log.splitlines() if any(name in line for name in ours)]
    assert our_lines
    assert not any(MAIN in line for line in our_lines)


FAILING_DAG = """
    from datetime import datetime, timezone

    try:
        from airflow.sdk import DAG
    except ImportError:
        from airflow import DAG

    from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

    with DAG(dag_id="failing", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        ConversationToS3Operator(
            task_id="export", participant="46701740605", s3_bucket="no-such-bucket-here", s3_key="out.jsonl"
        )

    if __name__ == "__main__":
        print("ended as", dag.test().state)
"""


@pytest.mark.slow
def test_a_failed_export_logs_only_its_own_error(
    ip1_connection: str, aws_connection: str, airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_file = tmp_path / "dags" / "failing.py"
    dag_file.parent.mkdir()
    dag_file.write_text(textwrap.dedent(FAILING_DAG))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dag_file.parent))
    log = run_script(dag_file).log
    assert "ended as failed" in log
    assert "'no-such-bucket-here' does not exist" in log
    assert S3ObjectLink.key not in log
    assert "XCom not found" not in log


def test_the_link_of_an_unfinished_export_is_empty_without_a_look_up(
    operator: Callable[..., ConversationToS3Operator], ip1_connection: str, bucket: Bucket
) -> None:
    """On Airflow 3, looking for a missing XCom logs an error. Outside a DAG run the look-up raises."""
    export, key = operator(participant=SEVEN), SimpleNamespace()
    link = S3ObjectLink()
    assert link.get_link(export, ti_key=key) == ""
    export.execute({})
    # Nobody can log in to the store's API.
    assert link.get_link(export, ti_key=key) == ""
    export.object_url = "https://console.aws.amazon.com/s3/object/lake"
    assert link.get_link(export, ti_key=key) == export.object_url


def test_metrics(
    operator: Callable[..., ConversationToS3Operator],
    ip1_connection: str,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: dict[str, int] = {}
    monkeypatch.setattr(Stats, "incr", lambda name, count=1: counted.update({name: counted.get(name, 0) + count}))
    sandbox.faults.add("503@2:retry-after=0")
    operator(page_size=1000).execute({})
    assert counted == {"ip1.messages_exported": 5000, "ip1.requests": len(sandbox.requests), "ip1.retries": 1}
    sandbox.key, before = "another", len(sandbox.requests)
    counted.clear()
    with pytest.raises(IP1AuthError):
        operator(page_size=1000).execute({})
    assert counted == {"ip1.requests": len(sandbox.requests) - before, "ip1.retries": 0}


def test_another_store_has_no_link(aws_connection: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert S3Store(S3Hook(aws_conn_id=aws_connection), S3Object(bucket.name, "a.jsonl")).link == ""
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": {"region_name": "eu-north-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://amazonaws.com.example")
    assert S3Store(S3Hook(aws_conn_id="aws_default"), S3Object("lake", "a.jsonl")).link == ""


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-north-1", "console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_the_link_leads_to_the_aws_console(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": {"region_name": region}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    url = urlsplit(S3Store(S3Hook(aws_conn_id="aws_default"), S3Object("lake", "a b/c+d.jsonl")).link)
    assert (url.scheme, url.netloc, url.path) == ("https", host, "/s3/object/lake")
    assert parse_qs(url.query) == {"region": [region], "prefix": ["a b/c+d.jsonl"]}


def test_the_operator_has_the_link(operator: Callable[..., ConversationToS3Operator]) -> None:
    (link,) = operator().operator_extra_links
    assert isinstance(link, S3ObjectLink)
    assert link.name == "S3 object"


@pytest.mark.parametrize(("file_format", "key"), [("jsonl", "out.jsonl.gz"), ("parquet", "out.parquet")])
def test_lineage(
    operator: Callable[..., ConversationToS3Operator],
    ip1_connection: str,
    sandbox: SandboxServer,
    bucket: Bucket,
    file_format: str,
    key: str,
) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    export = operator(s3_key=key, file_format=file_format, page_size=1000)
    assert export.get_openlineage_facets_on_complete(SimpleNamespace()).outputs == []
    result = export.execute({})
    lineage = export.get_openlineage_facets_on_complete(SimpleNamespace())
    (read,), (written,) = lineage.inputs, lineage.outputs
    assert (read.namespace, read.name) == (sandbox.url, "v2/conversations")
    assert (written.namespace, written.name) == (f"s3://{bucket.name}", key)
    names = [field.name for field in written.facets["schema"].fields]
    if file_format == "parquet":
        assert names == list(COLUMN_NAMES)
    else:
        assert {"batchId", "statuses", "modified"} < set(names) and "extra" not in names
    statistics = written.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.size) == (5000, result["bytes"])
    assert MAIN not in repr(lineage)


def test_airflow_stores_nothing_personal(
    operator: Callable[..., ConversationToS3Operator], ip1_connection: str, sandbox: SandboxServer
) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(try_number=1, xcom_push=lambda key, value: pushed.update({key: value}))
    export = operator(participant=[MAIN, SEVEN], file_format="csv", s3_key="out.csv", page_size=1000)
    returned = export.execute({"ti": ti})
    assert (returned["messages"], list(pushed)) == (5007, [])
    stored = json.dumps([returned, pushed]) + repr(export.get_openlineage_facets_on_complete(ti))
    for message in messages_of(sandbox) + messages_of(sandbox, SEVEN):
        assert message["body"] not in stored
        assert message["sender"] not in stored
        assert message["recipient"] not in stored
    assert stack.SANDBOX_KEY not in stored


def test_importing_the_operator_gives_no_warnings() -> None:
    code = "import airflow_provider_ip1.transfers.conversation_to_s3"
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    about_us = [line for line in done.stderr.splitlines() if "airflow_provider_ip1" in line]
    assert about_us == []


def test_an_asset_alias_among_the_outlets_is_ignored(
    operator: Callable[..., ConversationToS3Operator], ip1_connection: str
) -> None:
    from airflow_provider_ip1.compat import Asset
    from tests.airflow_names import AssetAlias

    asset, alias = Asset("s3://lake/conversations"), AssetAlias("lake")
    event = SimpleNamespace(extra={"kept": 1})

    class Events:
        """Stands in for a dictionary, because assets of Airflow 3.1 are not hashable."""

        def __getitem__(self, outlet: Any) -> Any:
            assert outlet is asset
            return event

    result = operator(outlets=[asset, alias]).execute({"outlet_events": Events()})
    assert event.extra == {"kept": 1} | result
