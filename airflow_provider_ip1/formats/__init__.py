# Licensed under the Apache License, Version 2.0 (see LICENSE).
"""Messages in, the bytes of a file out, as they come."""
