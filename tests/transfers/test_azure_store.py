# SPDX-License-Identifier: Apache-2.0
"""What an export to Azure does with Azure's answers, without the emulator. The guarantees are in test_guarantees."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("airflow.providers.microsoft.azure.hooks.wasb", reason="needs the extra azure")

from airflow_provider_ip1.compat import AirflowOptionalProviderFeatureException
from airflow_provider_ip1.exceptions import IP1ConnectionError
from airflow_provider_ip1.links.azure import AzureBlobLink
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.conversation_to_wasb import ConversationToWasbOperator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.messages_to_wasb import MessagesToWasbOperator
from airflow_provider_ip1.transfers.stores import ObjectState, Store, WriteConflict
from airflow_provider_ip1.transfers.stores.azure import AzureBlobError
from airflow_provider_ip1.transfers.stores.azure_blob import AzureBlob
from airflow_provider_ip1.transfers.to_wasb import WasbOptions
from tests.transfers.azure_stand_in import StandIn, stand_in
from tests.transfers.interruptions import TimeIsUp, interrupted_at
from tests.transfers.test_target import KEYS

MIB = 1024 * 1024


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch, ip1_connection: str) -> Iterator[StandIn]:
    with stand_in() as server:
        monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", server.connection())
        yield server


def store(name: str = "out", **options: Any) -> Store:
    return WasbOptions(blob_name=name, container_name="lake", **options).store()


def write(into: Store, *chunks: bytes, replaces: ObjectState | None = None) -> int:
    return into.write(
        chunks,
        replaces=replaces or ObjectState(),
        metadata=lambda is_whole: {"ip1-messages": str(is_whole)},
    )


# -- names and addresses


@pytest.mark.parametrize("url", ["", "wasb://lake/", "wasbs://lake/", "abfs://lake/", "ABFSS://lake@a.dfs.core.x/"])
@pytest.mark.parametrize("name", KEYS)
def test_the_name_is_used_as_it_is(name: str, url: str) -> None:
    blob = AzureBlob.from_arguments(None, url + name) if url else AzureBlob.from_arguments("lake", name)
    assert (blob.container, blob.name) == ("lake", name)
    assert blob.scheme == ("abfss" if "abfs" in url.lower() else "wasbs")


@pytest.mark.parametrize(
    ("container", "name"),
    [
        *(
            ("lake", name)
            for name in ("", " ", "None", "a/", "/a", "a//b", "../a", "a\\b", "a\nb", "a.", "a./b", "{{ x }}")
        ),
        *(("lake", url) for url in ("wasb://lake/a", "abfss://lake@a.dfs.core.x/a", "wasb:/lake/a", "s3://lake/a")),
        *((None, url) for url in ("", "a", "wasb://lake", "wasb://lake/", "abfs:///a", "https://a.blob.core.x/lake/a")),
        *((one, "a") for one in ("", "None", "la", "Lake", "la--ke", "-lake", "lake-", "la ke", "l" * 64, "$web", 5.5)),
        (None, "abfs://my_conn@lake/a"),
        ("lake", None),
    ],
)
def test_what_does_not_name_a_blob_is_an_error(container: Any, name: Any) -> None:
    with pytest.raises(ValueError, match="^(blob|container)_name"):
        AzureBlob.from_arguments(container, name)


REAL = {
    "AIRFLOW_CONN_WASB_REAL": '{"conn_type": "wasb", "login": "account", "password": "a2V5"}',
    "AIRFLOW_CONN_WASB_CHINA": '{"conn_type": "wasb", "login": "account", "password": "a2V5",'
    ' "host": "https://account.blob.core.chinacloudapi.cn", "extra": {"subscription_id": "1", "resource_group": "g"}}',
    "AIRFLOW_CONN_WASB_SAS": '{"conn_type": "wasb", "extra": {"sas_token": "https://account.blob.core.windows.net?sig=S"}}',
}


@pytest.mark.parametrize("conn_id", ["wasb_real", "wasb_sas"])
@pytest.mark.parametrize(
    ("blob_name", "uri", "namespace"),
    [
        ("a b/c", "wasbs://lake@account.blob.core.windows.net/a b/c", "wasbs://lake@account.dfs.core.windows.net"),
        (
            "abfs://lake/a b/c",
            "abfss://lake@account.dfs.core.windows.net/a b/c",
            "abfss://lake@account.dfs.core.windows.net",
        ),
        ("abfss://lake@account.dfs.core.windows.net/a b/c", "abfss://lake@account.dfs.core.windows.net/a b/c", None),
        ("wasb://lake@account.blob.core.windows.net/a b/c", "wasbs://lake@account.blob.core.windows.net/a b/c", None),
    ],
)
def test_uri_and_lineage_follow_the_scheme(
    monkeypatch: pytest.MonkeyPatch, conn_id: str, blob_name: str, uri: str, namespace: str | None
) -> None:
    for name, connection in REAL.items():
        monkeypatch.setenv(name, connection)
    container = None if ":" in blob_name else "lake"
    blob = WasbOptions(blob_name=blob_name, container_name=container, wasb_conn_id=conn_id).store()
    assert blob.uri == uri
    assert blob.dataset[1] == "a b/c"
    assert namespace in (None, blob.dataset[0])
    assert blob.beside(blob.uri, "checkpoint").uri == uri
    assert blob.beside("state.json", "checkpoint").uri == uri.replace("a b/c", "state.json")
    assert blob.link == "https://portal.azure.com/#browse/Microsoft.Storage%2FStorageAccounts"


def test_lineage_is_named_as_openlineage_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    naming = pytest.importorskip("openlineage.client.naming.dataset", reason="needs a newer OpenLineage")
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", REAL["AIRFLOW_CONN_WASB_REAL"])
    for scheme, official in (("abfss", naming.ABFSS), ("wasbs", naming.WASBS)):
        blob = WasbOptions(blob_name=f"{scheme}://lake/a/b").store()
        name = official("lake", "account", "a/b")
        assert blob.dataset == (name.get_namespace(), name.get_name())


def test_the_link_opens_the_blob_in_the_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", REAL["AIRFLOW_CONN_WASB_CHINA"])
    assert store("a b/c").link == (
        "https://portal.azure.cn/#view/Microsoft_Azure_Storage/BlobPropertiesBladeV2/storageAccountId/"
        "%2Fsubscriptions%2F1%2FresourceGroups%2Fg%2Fproviders%2FMicrosoft.Storage%2FstorageAccounts%2Faccount/"
        "path/lake%2Fa%20b%2Fc/isDeleted~/false/tabToload~/0"
    )


def test_a_url_of_another_account_is_an_error(azure: StandIn) -> None:
    with pytest.raises(ValueError, match="of other.dfs.core.windows.net, but the connection 'wasb_default' of 127"):
        export_conversations(SEVEN, url="abfss://lake@other.dfs.core.windows.net/out.jsonl")
    assert azure.calls == []


# -- the operators and the function


def test_both_operators_write_with_the_arguments_of_the_official_ones(azure: StandIn) -> None:
    pushed: dict[str, Any] = {}
    for operator, arguments in (
        (ConversationToWasbOperator, {"participant": SEVEN}),
        (MessagesToWasbOperator, {"until": "2026-01-01", "status_lookback": None}),
    ):
        task = operator(task_id="export", container_name="lake", blob_name="out.csv", file_format="csv", **arguments)
        result = task.execute({})
        content, _, metadata = azure.blobs.pop("out.csv")
        assert result["uri"] == f"wasbs://lake@{azure.url.split('/')[2]}/out.csv"
        assert content.count(b"\r\n") == result["messages"] + 1
        assert metadata["x-ms-meta-ip1_messages"] == str(result["messages"])
        (link,) = task.operator_extra_links
        assert isinstance(link, AzureBlobLink)
        assert task.object_url == "", "nobody can log in to another endpoint"
        pushed |= result
    assert "SECRETSIGNATURE" not in str(pushed) + azure.url


@pytest.mark.parametrize("scheme", ["wasb", "wasbs", "abfs", "abfss"])
def test_the_function_chooses_the_store_by_the_scheme(azure: StandIn, scheme: str) -> None:
    assert export_conversations(SEVEN, url=f"{scheme}://lake/out.jsonl")["messages"] == 7
    assert azure.blobs["out.jsonl"][0].count(b"\n") == 7
    with pytest.raises(ValueError, match="^url: .*replace is False"):
        export_conversations(SEVEN, url=f"{scheme}://lake/out.jsonl", replace=False)


@pytest.mark.parametrize("arguments", [{}, {"s3_key": "a", "url": "s3://lake/a"}, {"url": "gs://lake/a"}, {"url": "a"}])
def test_a_url_of_no_store_is_an_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="^url"):
        export_conversations(SEVEN, **arguments)


def test_the_extra_arguments_reach_azure(azure: StandIn) -> None:
    extra_args = {
        "content_settings": {"content_type": "text/csv"},
        "encryption_scope": "sms",
        "standard_blob_tier": "Cool",
        "tags": {"team": "lake"},
    }
    blob = store(extra_args=extra_args)
    write(blob, b"x")
    sent = {call: headers for call, headers in zip(azure.calls, azure.headers, strict=True)}
    assert sent["PutBlock"]["x-ms-encryption-scope"] == sent["PutBlockList"]["x-ms-encryption-scope"] == "sms"
    committed = sent["PutBlockList"]
    assert [committed[f"x-ms-{name}"] for name in ("access-tier", "tags", "blob-content-type")] == [
        "Cool", "team=lake", "text/csv"
    ]  # fmt: skip
    azure.calls.clear(), azure.headers.clear()
    # A blob in the archive tier cannot be read.
    blob.beside("state.json", "checkpoint").put(b"{}", replaces=ObjectState())
    assert all("x-ms-access-tier" not in headers for headers in azure.headers)
    with pytest.raises(ValueError, match="^extra_args: StorageClass"):
        store(extra_args={"StorageClass": "x"})


def test_a_missing_provider_is_reported_when_the_dag_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_ip1.transfers.to_wasb.find_spec", lambda name: None)
    with pytest.raises(AirflowOptionalProviderFeatureException, match=r"airflow-provider-ip1\[azure\]"):
        MessagesToWasbOperator(task_id="export", blob_name="wasb://lake/out.jsonl")


# -- errors


REJECTED = [
    (403, "AuthenticationFailed", "SAS token"),
    (403, "AuthorizationFailure", "network rules"),
    (403, "KeyBasedAuthenticationNotPermitted", "Entra"),
    (401, "NoAuthenticationInformation", "managed identity"),
    (403, "AccountIsDisabled", "managed identity"),
]


@pytest.mark.parametrize(("status", "code", "advice"), REJECTED, ids=[one[1] for one in REJECTED])
def test_rejected_credentials_are_an_error_before_anything_is_read(
    azure: StandIn, sandbox: SandboxServer, status: int, code: str, advice: str
) -> None:
    azure.answer = lambda call: (status, code)
    with pytest.raises(ValueError, match=f"^wasb_conn_id: .*'wasb_default'.*{code}.*{advice}"):
        export_conversations(SEVEN, url="wasb://lake/out.jsonl")
    assert sandbox.requests == []


def test_credentials_that_may_not_write_are_told_what_to_allow(azure: StandIn) -> None:
    azure.answer = lambda call: (403, "AuthorizationPermissionMismatch") if call == "PutBlock" else None
    with pytest.raises(ValueError, match="^wasb_conn_id: .*blobs/write"):
        export_conversations(SEVEN, url="wasb://lake/out.jsonl")


def test_a_checkpoint_that_must_not_be_read_is_an_error(azure: StandIn) -> None:
    azure.answer = lambda call: (403, "AuthorizationPermissionMismatch") if call == "GET" else None
    with pytest.raises(ValueError, match="cannot be read.*blobs/read"):
        export_conversations(SEVEN, url="wasb://lake/out.jsonl", checkpoint="state.json")


def test_missing_credentials_are_an_error(azure: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is not one, so no request can be signed."""
    connection = json.loads(azure.connection()) | {"password": "not base64!", "extra": {}}
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(connection))
    with pytest.raises(ValueError, match="^wasb_conn_id: .*was rejected") as failure:
        store().check()
    assert "not base64!" not in "".join(traceback.format_exception(failure.value))


@pytest.mark.parametrize(("code", "advice"), [("InvalidBlobOrBlock", "wait a week"), ("LeaseIdMissing", "Release it")])
def test_an_error_says_what_to_do(azure: StandIn, code: str, advice: str) -> None:
    azure.answer = lambda call: (412, code) if call.startswith("Put") else None
    with pytest.raises(AzureBlobError, match=f"{code}.*{advice}"):
        write(store(), b"x")


@pytest.mark.parametrize("call", ["HEAD", "PutBlock", "PutBlockList"])
@pytest.mark.parametrize(
    "answer", [(0, ""), (500, "InternalError"), (403, "AuthenticationFailed"), (400, "OutOfRange")]
)
def test_no_error_and_no_log_contains_the_token(
    azure: StandIn,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    answer: tuple[int, str],
) -> None:
    caplog.set_level(logging.DEBUG)
    # As in a new process, where nothing has masked the logs of the HTTP library yet.
    monkeypatch.setattr(logging.getLogger("urllib3.connectionpool"), "filters", [])
    azure.answer = lambda one: answer if one == call else None
    with pytest.raises(Exception) as failure:
        export_conversations(SEVEN, url="wasb://lake/out.jsonl")
    said = "".join(traceback.format_exception(failure.value)) + caplog.text
    assert "SECRETSIGNATURE" not in said
    # urllib3 logs the path of each request that has an answer.
    assert ("sig=***" in caplog.text) is ((call, answer) != ("HEAD", (0, "")))
    assert failure.value.__context__ is None or not type(failure.value.__context__).__module__.startswith("azure")


def test_an_unreachable_server_is_named_without_the_token(monkeypatch: pytest.MonkeyPatch, azure: StandIn) -> None:
    azure.url = "http://127.0.0.1:9/account"
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", azure.connection())
    with pytest.raises(AzureBlobError, match="no response") as failure:
        store().check()
    assert "SECRETSIGNATURE" not in "".join(traceback.format_exception(failure.value))


def test_the_key_of_an_ip1_connection_never_reaches_azure(azure: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = json.loads(azure.connection()) | {"conn_type": "ip1", "password": "a2V5"}
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(connection))
    with pytest.raises(IP1ConnectionError, match="wasb_conn_id: connection 'wasb_default' has the type 'ip1'"):
        export_conversations(MAIN, url="wasb://lake/a.jsonl")
    assert azure.calls == []


# -- repetitions


@pytest.mark.parametrize("is_new", [True, False])
def test_a_write_whose_response_is_lost_succeeds(azure: StandIn, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """Its repetition would find its own blocks gone, and its own blob there."""
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", azure.connection(retry_total=2))
    if not is_new:
        write(store(), b"old")
    azure.calls.clear()
    azure.loses_responses_of = {"PutBlock", "PutBlockList"}
    blob = store()
    assert write(blob, b"new", replaces=blob.head()) == 3
    assert azure.blobs["out"][0] == b"new"
    assert (azure.calls.count("PutBlock"), azure.calls.count("PutBlockList")) == (2, 1)


def test_a_write_conflicts_with_all_others(azure: StandIn) -> None:
    first, second = store(), store()
    state = first.head()
    write(first, b"first", replaces=state)
    with pytest.raises(WriteConflict):
        write(second, b"second", replaces=state)
    changed = ObjectState(etag='"0"')
    azure.answer = lambda call: (412, "ConditionNotMet") if call == "PutBlockList" else None
    with pytest.raises(WriteConflict):
        write(second, b"second", replaces=second.head())
    with pytest.raises(WriteConflict):
        write(second, b"second", replaces=changed)
    assert azure.blobs["out"][0] == b"first"


def test_a_request_is_repeated_as_often_as_the_connection_says(azure: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_ip1.transfers.stores.time.sleep", lambda seconds: None)
    for configured, sent in ((None, 5), (0, 1), (2, 3)):
        extra = {} if configured is None else {"retry_total": configured}
        connection = json.loads(azure.connection())
        del connection["extra"]["retry_total"]
        connection["extra"] |= extra
        monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(connection))
        azure.calls.clear()
        azure.answer = lambda call: (503, "ServerBusy")
        with pytest.raises(AzureBlobError, match="ServerBusy"):
            store().check()
        assert len(azure.calls) == sent


def test_a_blob_too_large_for_azure_is_rejected(azure: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_ip1.transfers.stores.azure._MAX_BLOCKS", 2)
    with pytest.raises(ValueError, match="larger than 10485760 bytes, 2 blocks"):
        write(store(), *[b"x" * MIB] * 11)
    assert azure.blobs == {}


# -- interruptions


@pytest.mark.no_cover
@pytest.mark.timeout(300)
@pytest.mark.parametrize("content", [b"0123456789", bytes(6 * MIB)], ids=["one block", "two blocks"])
def test_an_exception_anywhere_leaves_the_whole_blob_or_none(azure: StandIn, content: bytes) -> None:
    def write_content() -> None:
        write(store(), *(content[start : start + MIB] for start in range(0, len(content), MIB)))

    place, outcomes = 0, {None: 0, content: 0}
    while True:
        azure.blobs.clear()
        try:
            interrupted_at(place, write_content, lambda filename: "transfers/stores/" in filename)
        except TimeIsUp:
            outcomes[azure.blobs["out"][0] if azure.blobs else None] += 1
            place += 1
        else:
            break
    assert azure.blobs["out"][0] == content
    assert outcomes[None] > 50
    assert outcomes[content] > 3
