# SPDX-License-Identifier: Apache-2.0
"""Triggers that wait for SMS messages on the triggerer."""
