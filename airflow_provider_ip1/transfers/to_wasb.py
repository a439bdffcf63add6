# SPDX-License-Identifier: Apache-2.0
"""What the exports to Azure have in common: the arguments that name the blob, and the base class of the operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Required, Unpack

from airflow_provider_ip1.compat import AirflowOptionalProviderFeatureException
from airflow_provider_ip1.links.azure import AzureBlobLink
from airflow_provider_ip1.template_values import required_text
from airflow_provider_ip1.transfers.export_operator import BaseExportOperator
from airflow_provider_ip1.transfers.options import ExportOptions, OperatorArguments, with_options
from airflow_provider_ip1.transfers.stores.azure_blob import AzureBlob

if TYPE_CHECKING:
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    from airflow_provider_ip1.transfers.stores import Store


class WasbArguments(OperatorArguments, total=False):
    """
    The arguments of an operator that exports to Azure Blob Storage.

    :param blob_name: name of the blob, or its URL: ``wasb://container/blob``, or as in Spark
        ``abfss://container@account.dfs.core.windows.net/blob``. It is used as it is. It must not contain a
        participant's phone number, because names appear in logs, XCom and lineage. (templated)
    :param container_name: name of an existing container. Omit it if ``blob_name`` is a URL. (templated)
    :param wasb_conn_id: Airflow connection to Azure Blob Storage, default ``wasb_default``. (templated)
    :param extra_args: arguments of the write: ``content_settings``, ``encryption_scope``, ``standard_blob_tier`` or
        ``tags``. Default none.
    """

    blob_name: Required[str]
    container_name: str | None
    wasb_conn_id: str


@dataclass(frozen=True, kw_only=True)
class WasbOptions(ExportOptions):
    """
    The options of an export to Azure Blob Storage, with their defaults. :class:`WasbArguments` describes them.

    :raises AirflowOptionalProviderFeatureException: the provider of Microsoft Azure is not installed.
    """

    documented: ClassVar = WasbArguments.__doc__

    blob_name: str
    container_name: str | None = None
    wasb_conn_id: str = "wasb_default"

    def __post_init__(self) -> None:
        super().__post_init__()
        if find_spec("airflow.providers.microsoft") is None or find_spec("airflow.providers.microsoft.azure") is None:
            raise AirflowOptionalProviderFeatureException(
                "Exports to Azure need a provider. Install it with: pip install 'airflow-provider-ip1[azure]'"
            )

    def store(self, hook: WasbHook | None = None) -> Store:
        """
        Return the blob to write in its store.

        :param hook: the hook that writes it. Default: a new one.
        """
        from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

        from airflow_provider_ip1.transfers.stores.azure import AzureStore

        target = AzureBlob.from_arguments(self.container_name, self.blob_name)
        return AzureStore(hook or WasbHook(required_text(self.wasb_conn_id, "wasb_conn_id")), target, self.extra_args)


class BaseWasbOperator(BaseExportOperator):
    """Write messages of iP.1 to one Azure blob. A subclass decides which messages, and documents the arguments."""

    options_class = WasbOptions
    template_fields: Sequence[str] = (
        "blob_name",
        "container_name",
        *BaseExportOperator.template_fields,
        "wasb_conn_id",
    )
    operator_extra_links = (AzureBlobLink(),)

    @with_options(WasbOptions)
    def __init__(self, **arguments: Unpack[WasbArguments]) -> None:
        super().__init__(**arguments)
