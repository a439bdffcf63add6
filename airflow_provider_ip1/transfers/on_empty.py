# SPDX-License-Identifier: Apache-2.0
"""What an export does if there are no messages (``on_empty``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, get_args

from airflow_provider_ip1.compat import AirflowSkipException
from airflow_provider_ip1.exceptions import IP1NoMessagesError
from airflow_provider_ip1.transfers.target import Target

if TYPE_CHECKING:
    from airflow_provider_ip1.transfers.guarded_write import ObjectState

OnEmpty = Literal["protect", "write", "skip", "fail"]
ON_EMPTY: Final = get_args(OnEmpty)


def check_empty(
    on_empty: OnEmpty, target: Target, state: ObjectState, empty_size: Callable[[], int], arguments: str
) -> None:
    """
    Decide whether an export without messages may write an empty object.

    :param on_empty: the operator's argument.
    :param target: the object.
    :param state: what the object was when the export started.
    :param empty_size: returns the size in bytes of the empty object.
    :param arguments: the arguments that decide which messages are exported.
    :raises AirflowSkipException: ``on_empty`` is ``"skip"``.
    :raises IP1NoMessagesError: ``on_empty`` is ``"fail"``, or ``"protect"`` and the object contains messages.
    """
    if on_empty == "skip":
        raise AirflowSkipException("There are no messages to export, and on_empty is 'skip'.")
    if on_empty == "fail":
        raise IP1NoMessagesError(
            f"There are no messages to export, and on_empty is 'fail'. Check {arguments}, or change on_empty."
        )
    if on_empty == "protect" and state.etag is not None and state.contains_messages(empty_size()):
        raise protected_error(target, arguments)


def protected_error(target: Target, arguments: str) -> IP1NoMessagesError:
    """
    Return the error for an object that ``on_empty="protect"`` keeps.

    :param target: the object.
    :param arguments: the arguments that decide which messages are exported.
    """
    return IP1NoMessagesError(
        f"There are no messages to export, but {target.uri} contains messages. It was left unchanged, because on_empty "
        f"is 'protect'. Check {arguments}. To replace it with an empty object, set on_empty='write'."
    )
