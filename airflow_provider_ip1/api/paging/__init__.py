# SPDX-License-Identifier: Apache-2.0
"""Reading paginated iP.1 lists so that no row is lost or repeated. Nothing in here does I/O."""
