# SPDX-License-Identifier: Apache-2.0
"""The trigger that continues the wait of a deferred sensor."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar

from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.watching.wait import Wait, end_event, error_event
from airflow_provider_ip1.api.watching.watch import Watch
from airflow_provider_ip1.compat import BaseTrigger, TriggerEvent
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook
from airflow_provider_ip1.hooks.poll import wait_a_turn_async


class BasePollingTrigger(BaseTrigger):
    """
    Polls iP.1 until a wait ends, and sends one event.

    Its arguments are JSON values, and it keeps no other state. It may therefore move to another triggerer at any time,
    and may run twice, because it only reads. The event is a dictionary without personal data, see
    :func:`~airflow_provider_ip1.api.watching.wait.end_event`.

    :param ip1_conn_id: Airflow connection. The trigger looks it up for each poll, so its key can be changed during the
        wait. Default ``ip1_default``.
    :param wait: the wait, as :meth:`Wait.to_dict <airflow_provider_ip1.api.watching.wait.Wait.to_dict>` describes it.
    :param entries: the entries of ``wait`` as single arguments, as 0.2.0 stored them. A wait that it deferred resumes.
    :raises TypeError: there is no wait, or there are two.
    """

    #: Makes the watch of the wait from its entries.
    watch_class: ClassVar[Callable[..., Watch]]

    def __init__(
        self,
        *,
        ip1_conn_id: str = IP1AsyncHook.default_conn_name,
        wait: Mapping[str, Any] | None = None,
        **entries: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if (wait is None) != bool(entries) or not isinstance(wait, Mapping | None):
            raise TypeError(f"{type(self).__name__} takes ip1_conn_id and wait, or the single arguments of 0.2.0")
        self.ip1_conn_id = ip1_conn_id
        self.wait = dict(entries if wait is None else wait)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:return: the import path of this class, and its arguments as JSON values."""
        arguments = {"ip1_conn_id": self.ip1_conn_id, "wait": self.wait}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    def __repr__(self) -> str:
        # Airflow logs it, and the inherited one shows all arguments.
        names = ("message_id", "batch_id", "reference", "participant")
        subject = next(
            (mask_number(str(self.wait[name])) for name in names if self.wait.get(name)), "SMS to the account"
        )
        return f"<{type(self).__name__} {subject} until {self.wait.get('deadline')}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and send one event."""
        try:
            # Close the hook before sending the event: Airflow may not come back to the generator afterwards.
            async with IP1AsyncHook(self.ip1_conn_id) as hook:
                wait = Wait.from_dict(self.wait, type(self).watch_class)
                wait.resume(time.time(), self.log)
                while wait.result is None:
                    await wait_a_turn_async(hook, wait, self.log)
            event = end_event(wait.result)
        except IP1Error as error:
            event = error_event(type(error).__name__, str(error))
        except Exception as error:
            # Without an event the task would only see "trigger failure", and soft_fail would turn that into a skip.
            self.log.exception("The trigger failed with an unexpected error")
            text = f"The trigger failed: {type(error).__name__}. See the log of the triggerer for details."
            event = error_event(IP1Error.__name__, text)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]
