# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""What the iP.1 API says, as pure Python: no Airflow, no sockets, no clock of its own."""
