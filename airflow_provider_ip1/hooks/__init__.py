# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""Connections to iP.1."""
