# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""Waiting for messages on the triggerer."""
