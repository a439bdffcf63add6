# SPDX-License-Identifier: Apache-2.0
"""The HTTP clients for iP.1, one on requests and one on aiohttp. They know nothing of Airflow."""
