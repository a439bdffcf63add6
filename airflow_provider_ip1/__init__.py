# SPDX-License-Identifier: Apache-2.0
"""The iP.1 SMS provider for Apache Airflow. Importing this package imports nothing else."""

__version__ = "0.3.0"
