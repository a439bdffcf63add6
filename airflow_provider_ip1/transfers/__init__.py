# SPDX-License-Identifier: Apache-2.0
"""From iP.1 to other stores."""
