# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""A local stand-in for the iP.1 SMS API: build and test DAGs with no iP.1 account. It is not iP.1 and sends nothing."""
