# SPDX-License-Identifier: Apache-2.0
"""A local stand-in for the iP.1 SMS API: build and test DAGs with no iP.1 account. It is not iP.1 and sends nothing."""
