# SPDX-License-Identifier: Apache-2.0
"""The iP.1 API in pure Python: without Airflow, I/O or a clock."""
