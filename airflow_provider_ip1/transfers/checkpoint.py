# SPDX-License-Identifier: Apache-2.0
"""
Reads and writes the checkpoint of an export, beside the data in the store.

The object is written first, and then the checkpoint. A run that dies between the two leads to a larger next window,
never to a gap. Each try of a run starts from the states that its first try stored, so that its object contains at least
what the object of an earlier try contained.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from airflow_provider_ip1.api.checkpoint.state import Document, State, decode_document
from airflow_provider_ip1.formats.redaction import keyed_hash
from airflow_provider_ip1.template_values import RetriedValueError
from airflow_provider_ip1.transfers.replacing import ObjectChangedError, Replacement, digest
from airflow_provider_ip1.transfers.stores import ObjectState, Store, WriteConflict

log = logging.getLogger(__name__)

# Each time at least one of the writers succeeds. 1,024 mapped tasks that end together spread over the pauses.
_MAX_CONFLICTS: Final = 100


class Checkpoint:
    """
    The checkpoint of one export.

    :param store: of the object that the export writes.
    :param address: the checkpoint's key in the same bucket, or its URL.
    :raises ValueError: the address does not name another object. The message names the argument.
    """

    def __init__(self, store: Store, address: str) -> None:
        self._output = store
        self._store = store.beside(address, "checkpoint")
        if self._store.uri == store.uri:
            raise ValueError("checkpoint: is the object that the export writes. Use another key for the checkpoint.")
        self.uri = self._store.uri
        #: Name -> state, that the run starts from, and at its end that the next run starts from.
        self.states: dict[str, State] = {}

    def begin(
        self,
        header: Document,
        names: Sequence[str],
        key: bytes | None,
        context: Mapping[str, Any],
        replacement: Replacement,
    ) -> None:
        """
        Find out where this run starts from, and store that for its next tries.

        :param header: what the export is. An object that says something else belongs to another export.
        :param names: the participants, or a name for the account.
        :param key: the key with which the names are hashed in the store; ``None`` to store them as they are.
        :param context: context of the task's run; may be empty.
        :param replacement: the object that the export writes, as it is now, and what identifies its run.
        :raises ValueError: the checkpoint belongs to something else, or the object to another run.
        """
        self._header = header
        self._stored_names = {name: name if key is None else keyed_hash(key, name) for name in names}
        self._found, self._stored = self._read(self._store)
        start, state, run = self._own(self._stored), replacement.expected, replacement.origin.run
        if run is None:
            if state.etag is not None or not state.is_known:
                raise self._key_per_run("exists, and outside a run of a DAG, an export cannot know what it contains")
        else:
            start = self._start_of_run(start, context, state, run)
        self.states = {name: start[stored] for name, stored in self._stored_names.items() if stored in start}

    def _start_of_run(
        self, start: dict[str, State], context: Mapping[str, Any], state: ObjectState, run: str
    ) -> dict[str, State]:
        ti = context["ti"]
        names = [ti.dag_id, context["run_id"], ti.task_id, getattr(ti, "map_index", -1), self._output.uri]
        store = self._store.beside(f"{self.uri}.runs/{digest(*names)[:32]}.json", "checkpoint")
        found, states = self._read(store)
        if found.etag is None:
            # Check this first. Otherwise the next try would find the state, and replace the object.
            if state.etag is not None:
                raise self._key_per_run("exists, and there is no state from which this run began")
            try:
                store.put(replace(self._header, states=start).encode(), replaces=found)
            except WriteConflict:
                # Another try of the same run was faster.
                found, states = self._read(store)
        if not state.is_known or (state.etag is not None and state.metadata.get("ip1-run") != run):
            raise self._key_per_run("may have been written by another run")
        return start if found.etag is None else self._own(states)

    def advance(self) -> None:
        """
        Store the states of this run's conversations, and keep those that other runs have stored in the meantime.

        Each state is whole. So whichever run writes last, the next one misses nothing.

        :raises ObjectChangedError: other runs kept changing the checkpoint.
        """
        own = {self._stored_names[name]: state for name, state in self.states.items()}
        for _ in range(_MAX_CONFLICTS):
            document = replace(self._header, states=self._stored | own)
            try:
                self._store.put(document.encode(), replaces=self._found)
            except WriteConflict:
                time.sleep(random.uniform(0, 1))  # noqa: S311 - spreads the writers
                self._found, self._stored = self._read(self._store)
            else:
                log.info("Advanced the checkpoint %s.", self.uri)
                return
        raise ObjectChangedError(
            f"Other runs kept changing the checkpoint {self.uri}, so this run could not advance it. Nothing is lost: "
            "the next run exports the same messages again. Give tasks that end at the same time separate checkpoints."
        )

    def _own(self, states: Mapping[str, State]) -> dict[str, State]:
        return {name: states[name] for name in self._stored_names.values() if name in states}

    def _read(self, store: Store) -> tuple[ObjectState, dict[str, State]]:
        """Return an object and the states that it holds, if it belongs to this export."""
        state, body = store.read()
        if not state.is_known:
            raise RetriedValueError(f"{store.uri} cannot be read (403). Allow {store.reading_rights}.")
        if state.etag is None:
            return state, {}
        found = decode_document(body, store.uri)
        for name, what in (
            ("base_url", "base URL"),
            ("source", "source"),
            ("direction", "direction"),
            ("redact_key", "redact_key, or another choice of hiding participants"),
        ):
            if getattr(found, name) != getattr(self._header, name):
                raise ValueError(
                    f"checkpoint: {store.uri} belongs to an export with another {what} ({getattr(found, name)}, not "
                    f"{getattr(self._header, name)}). Give this export a separate checkpoint, or delete the object "
                    "and set since to start again from there."
                )
        return state, found.states

    def _key_per_run(self, reason: str) -> ValueError:
        return ValueError(
            f"{self._output.argument}: {self._output.uri} {reason}. With a checkpoint, each object holds what one run "
            "exported, so use a key per run, such as one with {{ run_id | replace(':', '') | replace('+', '') }}. This "
            "also holds for replace='always'."
        )
