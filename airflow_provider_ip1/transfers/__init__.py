# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""From iP.1 to other stores."""
