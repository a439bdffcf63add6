# SPDX-License-Identifier: Apache-2.0
"""What docker-compose.yaml needs: its settings and the test of the whole stack. Uses only the standard library."""
