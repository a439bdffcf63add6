# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""The iP.1 SMS provider for Apache Airflow. Importing this package imports nothing else."""

__version__ = "0.1.0"
