# SPDX-License-Identifier: Apache-2.0
"""Messages in, the bytes of a file out, as they come."""
