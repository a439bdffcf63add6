# SPDX-License-Identifier: Apache-2.0
"""The default page size, which grows where the server grants larger pages."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.larger_pages import LargerPages
from airflow_provider_ip1.api.paging.read_ahead import Outcome, ReadAhead
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.exceptions import IP1AuthError, IP1ParticipantError, IP1ResponseError, IP1ServerError
from tests.api.paging.model_server import ModelServer, a_list, pages_of


@dataclass
class PickyServer(ModelServer):
    """Refuses more than so many rows per page with an error."""

    most: int = 10_000
    error: type[Exception] = IP1ServerError

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        if limit > self.most:
            self.requests.append((start, limit))
            return self.error("too many")
        return super().respond(start, limit, order)

    @property
    def limits(self) -> list[int]:
        """The rows that were requested, in order."""
        return [limit for _, limit in self.requests]


def server(rows: int, **options: object) -> PickyServer:
    return PickyServer([f"row{number}" for number in range(rows)], **options)  # type: ignore[arg-type]


def read(
    model: ModelServer, larger: LargerPages, *, page_size: int | None = None, concurrency: int = 4, order: Order = "ASC"
) -> None:
    """Read a list completely, and check that nothing is missing."""
    ahead = ReadAhead([a_list(order=order)], page_size=page_size, concurrency=concurrency, larger=larger)
    delivered = [key for page in pages_of(ahead, {None: model}, concurrency) for key in page.ids]
    assert delivered == model.listed(order, 0, 1)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize(("clamp", "requests"), [(10_000, 102), (1000, 102), (500, 202)])
def test_a_long_list_takes_few_requests_where_larger_pages_are_granted(clamp: int, requests: int, order: Order) -> None:
    model = server(100_000, clamp=clamp, order=order)
    read(model, LargerPages(), order=order)
    assert model.limits == [200, *[1000] * (requests - 1)]


@pytest.mark.parametrize("rows", [0, 1, 49, 199])
def test_a_short_list_takes_a_page_of_200(rows: int) -> None:
    model = server(rows)
    read(model, LargerPages())
    assert set(model.limits) == {200}


@pytest.mark.parametrize("page_size", [200, 50])
def test_a_configured_page_size_does_not_grow(page_size: int) -> None:
    model = server(3000)
    read(model, LargerPages(), page_size=page_size)
    assert set(model.limits) == {page_size}


@pytest.mark.parametrize("error", [IP1ServerError, IP1ParticipantError, IP1ResponseError])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_a_server_that_refuses_a_larger_page_is_asked_once(error: type[Exception], order: Order) -> None:
    larger = LargerPages()
    first, second = (server(2000, most=200, error=error, order=order) for _ in range(2))
    read(first, larger, order=order)
    assert first.limits == [200, 1000, *[200] * 10]
    assert first.starts[:4] == [0, 199, 199, 398]
    read(second, larger, order=order)
    assert set(second.limits) == {200}


@pytest.mark.parametrize("link_style", ["rfc8288", "none"])
def test_a_server_that_grants_no_more_rows_is_asked_once(link_style: str) -> None:
    larger = LargerPages()
    first, second = (server(2000, clamp=200, link_style=link_style) for _ in range(2))
    read(first, larger)
    assert first.limits.count(1000) == 1
    assert first.starts[:3] == [0, 199, 398]
    read(second, larger)
    assert set(second.limits) == {200}


def test_a_larger_page_that_ends_the_list_says_nothing() -> None:
    larger = LargerPages()
    # Links that are computed from the requested rows do not say that more follow.
    for model in (server(380), server(399), server(1000, clamp=200, link_style="requested-limit"), server(2000)):
        read(model, larger)
        assert 1000 in model.limits
    assert model.limits[:3] == [200, 1000, 1000]


def test_another_error_ends_the_read() -> None:
    with pytest.raises(IP1AuthError):
        read(server(2000, most=200, error=IP1AuthError), LargerPages())


def test_the_first_larger_request_travels_alone() -> None:
    """Others of the same list wait for it, and those of other lists stay at 200 rows."""
    models = {f"list{number}": server(3000) for number in range(3)}
    ahead = ReadAhead([a_list(name) for name in models], page_size=None, concurrency=8, larger=LargerPages())
    trials = []
    for _ in range(4):
        while ahead.next_page() is not None:
            pass
        for request in ahead.next_requests():
            if request.limit == 200:
                model = models[request.listing.participant or ""]
                ahead.receive(request, model.respond(request.start, request.limit))
            else:
                trials.append(request)
    (trial,) = trials
    assert (trial.start, trial.is_trial, trial.request.retry) == (199, True, "unless_sent")
    ahead.receive(trial, models[trial.listing.participant or ""].respond(trial.start, trial.limit))
    assert max(model.limits.count(200) for model in models.values()) > 1
    while ahead.next_page() is not None:
        pass
    following = ahead.next_requests()
    assert {(request.limit, request.is_trial, request.request.retry) for request in following} == {
        (1000, False, "always")
    }


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_larger_request_that_nobody_waits_for_leaves_the_try_to_the_next_list(is_kept: bool) -> None:
    larger = LargerPages()
    model = server(3000)
    ahead = ReadAhead([a_list()], page_size=None, concurrency=1, larger=larger)
    (first,) = ahead.next_requests()
    ahead.receive(first, model.respond(first.start, first.limit))
    assert ahead.next_page() is not None
    (trial,) = ahead.next_requests()
    assert trial.is_trial
    if not is_kept:
        del ahead, trial
        # A state machine may refer to itself.
        gc.collect()
    another = server(3000)
    read(another, larger)
    assert (1000 in another.limits) is not is_kept


def test_a_server_that_refuses_larger_pages_later_gets_smaller_ones_again() -> None:
    larger = LargerPages()
    model = server(8000)
    model.changes = lambda model, request: setattr(model, "most", 200 if request >= 4 else 10_000)

    read(model, larger, concurrency=2)
    assert model.limits[:4] == [200, 1000, 1000, 1000]
    assert set(model.limits[8:]) == {200}
    second = server(2000)
    read(second, larger)
    assert set(second.limits) == {200}


def test_a_page_that_was_cut_later_is_no_end() -> None:
    model = server(5000, clamp_from=3, clamp_later=300)
    read(model, LargerPages())
    assert model.limits[:2] == [200, 1000]


def test_a_list_can_grow_while_a_larger_page_is_tried() -> None:
    model = server(1500)
    model.changes = lambda model, request: model.insert(len(model.rows), 3)
    ahead = ReadAhead([a_list()], page_size=None, concurrency=3, larger=LargerPages())
    delivered = [key for page in pages_of(ahead, {None: model}, 3) for key in page.ids]
    assert delivered[:1500] == [f"row{number}" for number in range(1500)]
    assert isinstance(model.respond(0, 10), RawPage)
