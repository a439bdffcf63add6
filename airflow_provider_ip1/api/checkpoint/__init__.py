# SPDX-License-Identifier: Apache-2.0
"""How an export remembers how far it got: what a checkpoint holds, and what follows from it for the next run."""
