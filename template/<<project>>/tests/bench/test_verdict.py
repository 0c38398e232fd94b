"""Percentiles, and what is met, missed, or not known."""

from __future__ import annotations

import pytest

from dev.bench.load import TIMEOUT
from dev.bench.load import UNREACHABLE
from dev.bench.load import Sample
from dev.bench.objectives import Load
from dev.bench.objectives import Objectives
from dev.bench.objectives import Route
from dev.bench.verdict import NotMeasured
from dev.bench.verdict import Verdict
from dev.bench.verdict import judge
from dev.bench.verdict import percentile

ROUTE_UP_TO_50 = Route(method="GET", path="/things", share=1, p99_ms=50, errors=0)
LOAD = Load(rate=100, duration_s=1)
ROUTE = Route(method="GET", path="/things", share=1, p95_ms=10, p99_ms=50, errors=0.01)


def samples(took: list[float], late: float = 0.0, status: int = 200) -> list[Sample]:
    """Requests of the one route, in milliseconds."""
    return [
        Sample(number, 0, late / 1000, one / 1000, status if number else 200)
        for number, one in enumerate(took)
    ]


def of(found: list[Sample], route: Route = ROUTE) -> Verdict:
    """What is said of them."""
    return judge(Objectives(load=LOAD, routes=[route]), found, [])


def test_a_percentile_is_one_of_the_values() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert percentile([1.0, 2.0, 3.0], 0.99) == 3
    assert percentile([1.0, 2.0, 3.0], 0.5) == 2
    assert percentile([7.0], 0.5) == 7


def test_objectives_are_met_up_to_their_values() -> None:
    verdict = of(samples([10.0] * 95 + [50.0] * 4 + [9000.0]))
    assert verdict.met
    assert str(verdict) == "Met: every objective, at 100 requests a second for 1 s."


@pytest.mark.parametrize(
    ("took", "missed"),
    [
        ([10.0] * 94 + [50.0] * 6, "p95"),
        ([10.0] * 98 + [51.0] * 2, "p99"),
        ([60.0] * 100, "p95, p99"),
    ],
)
def test_what_takes_too_long_is_named(took: list[float], missed: str) -> None:
    verdict = of(samples(took))
    assert not verdict.met
    assert f"Missed at 100 requests a second for 1 s: GET /things ({missed})." == str(verdict)


@pytest.mark.parametrize("status", [500, 503, 429, 404, 302, TIMEOUT])
def test_any_other_answer_than_expected_is_an_error(status: int) -> None:
    found = samples([1.0] * 100, status=status)
    assert of(found).rows[0].errors == 0.99
    assert "(errors)" in str(of(found))
    assert any("99 x" in line for line in of(found).table())


def test_what_the_key_has_to_do_with_it_is_told() -> None:
    for status, meaning in ((401, "no valid KEY"), (429, "more than this KEY may ask")):
        assert (
            f"GET /things: 99 x {status}, {meaning}"
            in of(samples([1.0] * 100, status=status)).table()
        )


def test_the_objectives_say_what_is_expected() -> None:
    route = ROUTE.model_copy(update={"expect": [200, 429]})
    assert of(samples([1.0] * 100, status=429), route).met


def test_the_share_of_errors_may_be_as_large_as_allowed() -> None:
    found = samples([1.0] * 100)
    assert of([*found[:99], Sample(99, 0, 0, 0.001, 500)]).met
    assert not of([*found[:98], *(Sample(n, 0, 0, 0.001, 500) for n in (98, 99))]).met


def test_fewer_requests_than_asked_for_are_no_verdict() -> None:
    with pytest.raises(NotMeasured, match="99 requests were sent, and 100 were to be"):
        of(samples([1.0] * 99))


def test_a_generator_that_ends_behind_is_no_verdict() -> None:
    """Although no request took long."""
    route = ROUTE.model_copy(update={"p95_ms": None, "p99_ms": 9000.0})
    found = samples([1.0] * 90) + [Sample(90 + n, 0, 0.02 + n / 1000, 0.03, 200) for n in range(10)]
    with pytest.raises(NotMeasured, match="could not keep 100 requests a second"):
        of(found, route)


def test_a_generator_that_has_caught_up_kept_the_rate() -> None:
    """What it sent late took longer, as that counts from when it was due."""
    late = [Sample(n, 0, 0.2, 0.201, 200) for n in range(4)]
    verdict = of([*late, *samples([1.0] * 100)[4:]], ROUTE.model_copy(update={"p99_ms": 250.0}))
    assert verdict.met
    assert percentile(verdict.rows[0].took, 0.99) == pytest.approx(201)


def test_who_is_late_at_the_end_and_catches_up_kept_the_rate_as_well() -> None:
    late = [Sample(n, 0, 0.02, 0.021, 200) for n in range(90, 99)]
    assert of([*samples([1.0] * 90), *late, Sample(99, 0, 0, 0.001, 200)], ROUTE_UP_TO_50).met


def test_what_only_the_generator_has_missed_is_no_verdict() -> None:
    late = [Sample(n, 0, 0.2, 0.201, 200) for n in range(4)]
    with pytest.raises(NotMeasured, match="The load generator was late"):
        of([*late, *samples([1.0] * 100)[4:]])


def test_nobody_there_is_no_verdict() -> None:
    nobody = [Sample(n, 0, 0, 0.001, UNREACHABLE) for n in range(100)]
    with pytest.raises(NotMeasured, match="No connection"):
        of(nobody)
    assert not of([*nobody[:99], Sample(99, 0, 0, 0.001, 200)]).met


def test_a_route_without_a_request_is_no_verdict() -> None:
    other = ROUTE.model_copy(update={"path": "/others"})
    objectives = Objectives(load=LOAD, routes=[ROUTE, other])
    with pytest.raises(NotMeasured, match="GET /others got no request"):
        judge(objectives, samples([1.0] * 100), [])


def test_what_was_left_out_is_said() -> None:
    writing = ROUTE.model_copy(update={"method": "POST"})
    verdict = judge(Objectives(load=LOAD, routes=[ROUTE]), samples([1.0] * 100), [writing])
    assert str(verdict).endswith("Left out, as it writes: POST /things.")


def test_the_table_has_a_line_a_route() -> None:
    head, line = of(samples([1.0] * 95 + [20.0] * 5)).table()
    assert head.split()[0] == "route"
    figures = "GET /things 100 100.0 1.0 1.0 20.0 0 % p95 10, p99 50, errors 1 % met"
    assert line.split() == figures.split()
