# SPDX-License-Identifier: Apache-2.0
"""Tasks with ``retries=3`` in a DAG run: arguments that can never work fail at the first try, whatever reads them."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from packaging.version import Version

from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.testing.s3_store import S3Store
from tests.airflow_runs import AIRFLOW, run_script

DAG_FILE = """
    import json
    import sys
    from datetime import datetime, timedelta, timezone

    from airflow.sdk import DAG

    from airflow_provider_ip1.operators.send_sms import SendSmsOperator
    from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
    from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
    from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
    from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator

    NUMBER = "46701740605"
    SMS = {"recipients": NUMBER, "body": "Hello"}
    KEY = {"s3_bucket": "BUCKET", "s3_key": "out.jsonl"}

    with DAG(
        dag_id="rejected",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        params={"missing": None},
        default_args={"retries": 3, "retry_delay": timedelta(0)},
        render_template_as_native_obj=True,
    ) as dag:
        SendSmsOperator(task_id="sms_template", **SMS | {"body": "{{ params.missing }}"})
        SendSmsOperator(task_id="sms_sender", **SMS, sender="{{ 'two words' }}")
        SendSmsOperator(task_id="sms_number", **SMS | {"recipients": "0701740605"})
        SendSmsOperator.partial(task_id="sms_constructor", **SMS).expand(max_segments=[0])
        MessageStatusSensor(task_id="status_soft_fail", batch_id="{{ params.missing }}", soft_fail=True)
        MessageStatusSensor(task_id="status_never_fail", batch_id="..", never_fail=True, mode="reschedule")
        MessageStatusSensor(task_id="status_deferrable", batch_id="b", expected="{{ 'sent' }}", deferrable=True)
        MessageStatusSensor.partial(task_id="status_constructor", batch_id="b").expand(require=["both"])
        IncomingSmsSensor(task_id="reply_since", participant=NUMBER, since="{{ 'tomorrow' }}")
        IncomingSmsSensor.partial(task_id="reply_nobody").expand(participant=[None])
        IncomingSmsSensor.partial(task_id="reply_constructor", participant=NUMBER).expand(pattern=["("])
        ConversationToS3Operator(task_id="export_number", participant="{{ '0701740605' }}", **KEY)
        ConversationToS3Operator(task_id="export_refused", participant="no such participant name", **KEY)
        ConversationToS3Operator(task_id="export_existing", participant=NUMBER, **KEY | {"s3_key": "a"}, replace=False)
        ConversationToS3Operator.partial(task_id="export_constructor", participant=NUMBER, **KEY).expand(
            on_empty=["never"]
        )
        MessagesToS3Operator(task_id="account_until", until="{{ 'never' }}", **KEY)
        # Neither is about what an argument says. A retry may find the bucket, or the server.
        ConversationToS3Operator(task_id="retried_bucket", participant=NUMBER, s3_key="s3://no-such-bucket-here/key")
        SendSmsOperator(task_id="retried_connection", **SMS, ip1_conn_id="no_such_connection")

    if __name__ == "__main__":
        run = dag.test()
        ends = {task.task_id: [task.state, task.try_number] for task in run.get_task_instances()}
        with open(sys.argv[1], "w") as file:
            json.dump(ends, file)
"""


@pytest.mark.slow
@pytest.mark.skipif(AIRFLOW < Version("3.1"), reason="dag.test() of older versions of Airflow counts no tries")
def test_each_class_fails_at_its_first_try(
    sandbox: SandboxServer,
    ip1_s3: S3Store,
    ip1_connection: str,
    airflow_db: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = ip1_s3.create_bucket()
    bucket.write("a", b"yesterday")
    dag_file, report = tmp_path / "dags" / "rejected.py", tmp_path / "report.json"
    dag_file.parent.mkdir()
    dag_file.write_text(textwrap.dedent(DAG_FILE).replace("BUCKET", bucket.name))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dag_file.parent))
    code, log = run_script(dag_file, str(report))
    assert code == 0, log[-5000:]
    ends = json.loads(report.read_text())
    assert len(ends) == 18
    assert ends == {task_id: ["failed", 4 if task_id.startswith("retried") else 1] for task_id in ends}
