# SPDX-License-Identifier: Apache-2.0
"""
Writes one Azure block blob while its bytes are still being produced, in the task's own thread.

The bytes are staged as uncommitted blocks, which no reader sees. One request, Put Block List, then makes the blob
visible, with its metadata, on condition that the existing one is still what it was when the export started
(https://learn.microsoft.com/en-us/rest/api/storageservices/put-block-list). Azure deletes blocks that a killed try left
behind, after a week or when the blob is written.

The SDK is imported where it is used, because it is an extra. No error of the SDK leaves this module: some quote the URL
of a request, which contains the SAS token.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import quote

from airflow_provider_ip1.api.call import RETRIED_STATUSES
from airflow_provider_ip1.client.logs import mask_http_logs
from airflow_provider_ip1.formats.compression import in_blocks
from airflow_provider_ip1.template_values import RetriedValueError
from airflow_provider_ip1.transfers.stores import DEFAULT_ATTEMPTS, UPLOAD, ObjectState, Store, refuse_ip1
from airflow_provider_ip1.transfers.stores.azure_blob import AzureBlob

if TYPE_CHECKING:
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

T = TypeVar("T")

# As small as a part in S3. https://learn.microsoft.com/en-us/azure/storage/blobs/scalability-targets
_BLOCK_BYTES: Final = 5 * 1024 * 1024
_MAX_BLOCKS: Final = 50_000
_EXTRA_ARGS: Final = frozenset(("content_settings", "encryption_scope", "standard_blob_tier", "tags"))
_NOT_ALLOWED: Final = frozenset(("AuthorizationPermissionMismatch", "InsufficientAccountPermissions"))
# https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes, and what to do about them.
_ADVICE: Final = {
    "AuthenticationFailed": "Correct its key or SAS token, renew an expired token, or set this machine's clock.",
    "AuthorizationFailure": "Correct its key, or let the network rules of the storage account admit this machine.",
    "AuthorizationPermissionMismatch": "Allow it to write blobs: the action blobs/write, or c and w in a SAS token.",
    "KeyBasedAuthenticationNotPermitted": "The account accepts neither keys nor their SAS tokens. Use Microsoft Entra.",
    "InvalidBlockList": "Another writer has written the blob meanwhile. Run the task again.",
    "InvalidBlobOrBlock": "Blocks that another program has not committed have ids of another length. Write another "
    "blob, or wait a week until Azure deletes them.",
    "LeaseIdMissing": "Another program holds a lease of the blob. Release it, or write another blob.",
}
_WRONG_CREDENTIALS: Final = "Correct its login, password, tenant_id or SAS token, or this machine's managed identity."


class AzureBlobError(RuntimeError):
    """
    Azure Blob Storage did not do what an export asked it to do.

    :param message: what happened, and what to do.
    :param code: Azure's error code, or the kind of the failure.
    :param may_pass: whether the same request may succeed a little later.
    """

    def __init__(self, message: str, code: str = "", *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.may_pass = may_pass


class AzureSettingError(AzureBlobError, RetriedValueError):
    """The container does not exist, or Azure does not accept the credentials."""


class AzureStore(Store):
    """
    One blob in Azure Blob Storage.

    :param wasb: the hook. ``retry_total`` in the connection's extra says how often a request is repeated, default 4.
    :param target: the blob.
    :param extra_args: arguments of the SDK's ``commit_block_list``: ``content_settings``, ``encryption_scope``,
        ``standard_blob_tier`` or ``tags``.
    :raises ValueError: an extra argument is not one of these, or the URL is of another account than the connection.
    """

    argument = "blob_name"
    reading_rights = "the action blobs/read, or r in a SAS token"
    _errors = (AzureBlobError,)

    def __init__(self, wasb: WasbHook, target: AzureBlob, extra_args: Mapping[str, Any] | None = None) -> None:
        self._wasb = wasb
        self._target = target
        self._extra_args = dict(extra_args or {})
        if unknown := self._extra_args.keys() - _EXTRA_ARGS:
            raise ValueError(f"extra_args: {', '.join(sorted(unknown))} cannot be set for a blob.")
        self._connection = wasb.get_connection(wasb.conn_id)
        # The SDK uses urllib3, which logs URLs.
        mask_http_logs()
        self._attempts = int(self._connection.extra_dejson.get("retry_total", DEFAULT_ATTEMPTS - 1)) + 1
        self._blob = wasb.blob_service_client.get_blob_client(target.container, target.name)
        # Never the client's url, which contains the SAS token. An emulator has the account in the path.
        host = self._blob.primary_hostname.partition("/")[0]
        lake_host = host.replace(".blob.", ".dfs.")
        if target.host not in (None, host, lake_host):
            raise ValueError(
                f"{self.argument}: the URL is of {target.host}, but the connection {wasb.conn_id!r} of {host}. Set "
                "wasb_conn_id to a connection to that account."
            )
        self.uri = (
            f"{target.scheme}://{target.container}@{host if target.scheme == 'wasbs' else lake_host}/{target.name}"
        )
        self.dataset = (f"{target.scheme}://{target.container}@{lake_host}", target.name)

    @property
    def link(self) -> str:
        """
        The blob's page in the Azure portal. Empty for an endpoint that is not Azure's.

        The page needs the connection's extra fields ``subscription_id`` and ``resource_group``. Without them, this is
        the portal's list of storage accounts.
        """
        container, name, host = self._target.container, self._target.name, self._blob.primary_hostname
        account, is_azure, cloud = host.partition(".blob.core.")
        if not is_azure:
            return ""
        domain = {"chinacloudapi.cn": "azure.cn", "usgovcloudapi.net": "azure.us"}.get(cloud, "azure.com")
        extra = self._connection.extra_dejson
        subscription, group = extra.get("subscription_id"), extra.get("resource_group")
        if not (subscription and group):
            return f"https://portal.{domain}/#browse/Microsoft.Storage%2FStorageAccounts"
        place = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/"
        account, path = quote(place + account, safe=""), quote(f"{container}/{name}", safe="")
        return (
            f"https://portal.{domain}/#view/Microsoft_Azure_Storage/BlobPropertiesBladeV2/storageAccountId/{account}/"
            f"path/{path}/isDeleted~/false/tabToload~/0"
        )

    def check(self) -> None:
        """
        Check the container and the credentials.

        :raises ValueError: the container does not exist, or Azure does not accept the credentials.
        :raises IP1ConnectionError: the connection is one to iP.1, whose API key must not reach another service.
        """
        refuse_ip1(self._connection.conn_type, "wasb_conn_id", self._wasb.conn_id)
        self.head()

    def head(self) -> ObjectState:
        """Return the current state of the blob."""
        try:
            found = self._call(lambda: self._blob.get_blob_properties(retry_total=0))
        except AzureBlobError as error:
            return _without_blob(error)
        metadata = {name.lower().replace("_", "-"): value for name, value in (found.metadata or {}).items()}
        return ObjectState(etag=found.etag, size=found.size, metadata=metadata)

    def write(
        self, chunks: Iterable[bytes], *, replaces: ObjectState, metadata: Callable[[bool], Mapping[str, str]]
    ) -> int:
        """
        Write the blob; see :meth:`.Store.write`.

        :raises ValueError: the blob is too large for 50,000 blocks.
        """
        self._upload = secrets.token_hex(8)
        scope = {name: value for name, value in self._extra_args.items() if name == "encryption_scope"}
        blocks: list[str] = []
        sent = 0
        for block in in_blocks(chunks, _BLOCK_BYTES):
            if len(blocks) == _MAX_BLOCKS:
                raise ValueError(
                    f"The blob is larger than {_BLOCK_BYTES * _MAX_BLOCKS} bytes, {_MAX_BLOCKS} blocks. Export less."
                )
            # As long as the ids of the SDK's own uploads, because all ids of a blob must have the same length.
            blocks.append(f"{self._upload}-{len(blocks):029}")
            self._call(partial(self._blob.stage_block, blocks[-1], block, len(block), retry_total=0, **scope))
            sent += len(block)
        self._commit(blocks, metadata(True), replaces)
        return sent

    def beside(self, address: str, argument: str) -> AzureStore:
        """Return another blob, with the same extra arguments, except that it can always be read at once."""
        extra_args = {name: value for name, value in self._extra_args.items() if name != "standard_blob_tier"}
        return AzureStore(self._wasb, self._target.beside(address, argument), extra_args)

    def read(self) -> tuple[ObjectState, bytes]:
        """Return the current ETag of the blob, and its content; see :meth:`.Store.read`."""

        def download() -> tuple[ObjectState, bytes]:
            found = self._blob.download_blob(retry_total=0)
            return ObjectState(etag=found.properties.etag), found.readall()

        try:
            return self._call(download)
        except AzureBlobError as error:
            return _without_blob(error), b""

    def put(self, body: bytes, *, replaces: ObjectState) -> None:
        """Write the blob; see :meth:`.Store.put`."""
        self.write([body], replaces=replaces, metadata=lambda is_whole: {})

    def remove_leftovers(self) -> None:
        """Leave them to Azure: when the blob is written, it deletes all blocks that are not a part of it."""

    def _commit(self, blocks: list[str], metadata: Mapping[str, str], replaces: ObjectState) -> None:
        """Send the request after which readers see the blob, on condition that the existing one is what it was."""
        from azure.core import MatchConditions
        from azure.storage.blob import BlobBlock, ContentSettings, StandardBlobTier

        options = {**self._extra_args}
        if "standard_blob_tier" in options:
            options["standard_blob_tier"] = StandardBlobTier(options["standard_blob_tier"])
        if isinstance(settings := options.get("content_settings"), Mapping):
            options["content_settings"] = ContentSettings(**settings)
        # Azure accepts only names that are identifiers in C#.
        named = {**metadata, UPLOAD: self._upload}
        options["metadata"] = {name.replace("-", "_"): value for name, value in named.items()}
        if replaces.etag is not None:
            options |= {"etag": replaces.etag, "match_condition": MatchConditions.IfNotModified}
        elif replaces.is_known:
            options["match_condition"] = MatchConditions.IfMissing
        listed = [BlobBlock(block_id) for block_id in blocks]

        def send() -> None:
            done = self._translated(lambda: self._blob.commit_block_list(listed, retry_total=0, **options))
            if not done.get("etag"):
                raise AzureBlobError(
                    f"{self.uri}: the response has no ETag, so it is unknown what Azure did.", may_pass=True
                )

        self._make_visible(send, replaces)

    def _call(self, send: Callable[[], T]) -> T:
        """Send a request, and repeat it while its failure may pass."""
        return cast(T, self._repeat(lambda: self._translated(send)))

    def _translated(self, send: Callable[[], T]) -> T:
        """Send a request once, and raise an error of this module if it fails, without the error of the SDK."""
        from azure.core.exceptions import AzureError

        try:
            return send()
        except (AzureError, TypeError) as error:
            # The SDK itself raises a TypeError for an error of the server that has no message.
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, AzureError):
                cause = cause.__context__
            if cause is None:
                raise
            failure = self._explained(cause)
        raise failure

    def _explained(self, error: BaseException) -> AzureBlobError:
        """Return the error of this module for one of the SDK's."""
        from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

        response, status = getattr(error, "response", None), getattr(error, "status_code", None)
        code = (response is not None and response.headers.get("x-ms-error-code")) or type(error).__name__
        if code == "ContainerNotFound":
            return AzureSettingError(
                f"container_name: container {self._target.container!r} does not exist. Create it, or correct the name.",
                code,
            )
        if status in (401, 403) or isinstance(error, ClientAuthenticationError):
            return AzureSettingError(
                f"wasb_conn_id: the Azure connection {self._wasb.conn_id!r} was rejected ({code}). "
                + _ADVICE.get(code, _WRONG_CREDENTIALS),
                code,
            )
        said = re.sub(r"\?\S*", "", str(error).partition("\n")[0]).rstrip(". ")
        return AzureBlobError(
            f"{self.uri}: the request to Azure failed ({status or 'no response'}, {code}): {said}. "
            + _ADVICE.get(code, ""),
            code,
            # A response of success that the SDK does not take for one is not Azure's.
            may_pass=status in (*RETRIED_STATUSES, 200, 201)
            or isinstance(error, (ServiceRequestError, ServiceResponseError)),
        )

    def _may_pass(self, error: Exception) -> bool:
        return isinstance(error, AzureBlobError) and error.may_pass

    def _is_conflict(self, error: Exception) -> bool:
        return getattr(error, "code", "") in ("ConditionNotMet", "BlobAlreadyExists", "BlobNotFound")


def _without_blob(error: AzureBlobError) -> ObjectState:
    """Return what an error says about a blob: that there is none, or that the credentials do not show it."""
    if error.code != "BlobNotFound" and error.code not in _NOT_ALLOWED:
        raise error
    return ObjectState(is_known=error.code == "BlobNotFound")
