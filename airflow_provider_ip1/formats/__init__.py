# SPDX-License-Identifier: Apache-2.0
"""Formats of exported files: pages of messages in, bytes out."""
