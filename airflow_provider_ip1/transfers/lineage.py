# SPDX-License-Identifier: Apache-2.0
"""OpenLineage facets of a finished export."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow_provider_ip1.formats.table import fields_of
from airflow_provider_ip1.transfers.target import Target


def lineage_of_export(base_url: str, target: Target, file_format: str, *, messages: int, size: int) -> Any:
    """
    Build the lineage of an export.

    :param base_url: iP.1's base URL.
    :param target: the object written.
    :param file_format: ``"jsonl"``, ``"csv"`` or ``"parquet"``.
    :param messages: number of messages written.
    :param size: size of the object in bytes.
    :return: an ``OperatorLineage`` of the OpenLineage provider.
    """
    from airflow.providers.common.compat.openlineage.facet import (
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    fields = [
        SchemaDatasetFacetFields(name=name, type=type_, description=description)
        for name, type_, description in fields_of(file_format)
    ]
    return OperatorLineage(
        inputs=[conversations_dataset(base_url)],
        outputs=[
            OutputDataset(
                namespace=f"s3://{target.bucket}",
                name=target.key,
                facets={"schema": SchemaDatasetFacet(fields=fields)},
                outputFacets={
                    "outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=messages, size=size),
                },
            )
        ],
    )


def conversations_dataset(base_url: str) -> Any:
    """
    Return the dataset of all of iP.1's conversations. There is one, because its name must not contain a phone number.

    :param base_url: iP.1's base URL.
    :return: a ``Dataset`` of the OpenLineage client.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    api = urlsplit(base_url)
    return Dataset(namespace=f"{api.scheme}://{api.netloc}", name="v2/conversations")
