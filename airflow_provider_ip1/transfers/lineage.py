# SPDX-License-Identifier: Apache-2.0
"""OpenLineage facets of a finished export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_ip1.formats.table import fields_of


def lineage_of_export(
    base_url: str, file_format: str, dataset: str, output: tuple[str, str], result: Mapping[str, Any]
) -> Any:
    """
    Build the lineage of an export.

    :param base_url: iP.1's base URL.
    :param file_format: ``"jsonl"``, ``"csv"`` or ``"parquet"``.
    :param dataset: name of the dataset read. It contains no phone number.
    :param output: namespace and name of the object written.
    :param result: the result of the operator.
    :return: an ``OperatorLineage`` of the OpenLineage provider.
    """
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics, schema_dataset as schema

    from airflow_provider_ip1.compat import OperatorLineage

    fields = [
        schema.SchemaDatasetFacetFields(name=name, type=type_, description=description)
        for name, type_, description in fields_of(file_format)
    ]
    counts = statistics.OutputStatisticsOutputDatasetFacet(rowCount=result["messages"], size=result["bytes"])
    written = OutputDataset(
        namespace=output[0],
        name=output[1],
        facets={"schema": schema.SchemaDatasetFacet(fields=fields)},
        outputFacets={"outputStatistics": counts},
    )
    return OperatorLineage(inputs=[ip1_dataset(base_url, dataset)], outputs=[written])


def ip1_dataset(base_url: str, name: str) -> Any:
    """
    Return a dataset of iP.1.

    :param base_url: iP.1's base URL.
    :param name: path of the collection, such as ``v2/conversations``. It must not contain a phone number.
    :return: a ``Dataset`` of the OpenLineage client.
    """
    from openlineage.client.event_v2 import Dataset

    api = urlsplit(base_url)
    return Dataset(namespace=f"{api.scheme}://{api.netloc}", name=name)
