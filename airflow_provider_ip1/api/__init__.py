# SPDX-License-Identifier: Apache-2.0
"""What the iP.1 API says, as pure Python: no Airflow, no sockets, no clock of its own."""
