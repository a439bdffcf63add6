# SPDX-License-Identifier: Apache-2.0
"""Which texts are faults, and which requests a fault hits."""

from __future__ import annotations

import re

import pytest

from airflow_provider_ip1.sandbox.faults import GRAMMAR, LINK_STYLES, Fault, FaultError, Faults
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sandbox.plain_client import get

# Which requests


@pytest.mark.parametrize(
    ("when", "hit"),
    [("@3", [3]), ("@2-4", [2, 3, 4]), ("@5-", [5, 6]), ("@*", [1, 2, 3, 4, 5, 6]), ("", [1, 2, 3, 4, 5, 6])],
)
def test_fault_hits_the_selected_requests(server: SandboxServer, when: str, hit: list[int]) -> None:
    server.faults.add(f"503{when}")
    statuses = [get(server, limit=1).status_code for _ in range(6)]
    assert [number for number, status in enumerate(statuses, 1) if status == 503] == hit
    assert [record.status for record in server.requests] == statuses
    assert set(statuses) <= {200, 503}


def test_chance_depends_only_on_seed_and_number() -> None:
    def hit(seed: int) -> list[int]:
        return [number for number in range(1, 2001) if Faults(["503~0.1"], seed).for_request(number)]

    assert hit(1) == hit(1)
    assert hit(1) != hit(2)
    assert 120 < len(hit(1)) < 280
    assert not Fault.parse("503~0").hits(1)
    assert Fault.parse("503~1").hits(1)


def test_faults_can_change_while_the_server_runs(server: SandboxServer) -> None:
    server.faults.add("503", "clamp=2")
    assert get(server).status_code == 503
    server.faults.remove("503")
    assert len(get(server).json()) == 2
    server.faults.clear()
    assert len(get(server).json()) == 50
    assert len(server.faults) == 0


# The grammar


@pytest.mark.parametrize("style", LINK_STYLES)
def test_help_lists_every_link_style(style: str) -> None:
    assert re.search(rf"\b{style}\b", GRAMMAR)


def test_examples_in_the_help_are_faults() -> None:
    examples = re.findall(r"^  ([a-z0-9-]+[@=][^ ]+) ", GRAMMAR, re.MULTILINE)
    assert len(examples) >= 15
    for example in examples:
        if not example.endswith(("URL", "STYLE")):
            Fault.parse(example)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "not NAME"),
        ("boom", "unknown fault 'boom'"),
        ("status", "unknown fault 'status'"),
        ("200", "400 to 599"),
        ("503@0", "from 1"),
        ("503@x", "not NAME"),
        ("503@4-2", "ends before"),
        ("503@1-2-3", "range"),
        ("503~1.1", "0 to 1"),
        ("503~1.1.1", "not a probability"),
        ("503=1", "does not take a value"),
        ("reset=1", "does not take a value"),
        ("clamp", "'nothing'"),
        ("clamp=0", "'0'"),
        ("link=odd", "'odd'"),
        ("slow@1", "seconds="),
        ("slow@1:seconds=-1", "seconds does not take '-1'"),
        ("redirect", "to="),
        ("insert:at=nowhere", "at does not take"),
        ("insert:colour=red", "unknown option 'colour'"),
        ("429:retry-after", "'nothing'"),
        ("swap", "at="),
        ("swap:at=head", "at does not take"),
        ("sent-as=text", "'text'"),
        ("sent-as=list:status=204", "status does not take"),
        ("list-lag", "'nothing'"),
        ("503:method=PATCH", "method does not take"),
        ("clamp=5:accepted=yes", "unknown option"),
    ],
)
def test_invalid_fault_is_rejected_with_its_reason(spec: str, reason: str) -> None:
    with pytest.raises(FaultError, match=re.escape(reason)) as caught:
        Fault.parse(spec)
    assert repr(spec) in str(caught.value)
    with pytest.raises(ValueError, match=re.escape(reason)):
        SandboxServer(faults=[spec])
