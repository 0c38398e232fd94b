"""How many retries there may be."""

from hypothesis import given
from hypothesis.strategies import floats
from hypothesis.strategies import lists
from hypothesis.strategies import sampled_from

from app.http_client.budget import MOST_SAVED
from app.http_client.budget import RetryBudget


@given(floats(0, 1), lists(sampled_from(["call", "retry"]), max_size=400))
def test_retries_are_a_share_of_the_calls(ratio: float, events: list[str]) -> None:
    budget, calls, retries = RetryBudget(ratio), 0, 0
    for event in events:
        if event == "call":
            budget.deposit()
            calls += 1
        else:
            retries += budget.withdraw()
        assert retries <= ratio * calls + MOST_SAVED + 1e-6


def test_calls_that_need_none_save_up_for_later() -> None:
    budget = RetryBudget(0.1)
    while budget.withdraw():
        pass
    for _ in range(1000):
        budget.deposit()
    assert sum(budget.withdraw() for _ in range(100)) == MOST_SAVED


def test_none_at_all() -> None:
    budget = RetryBudget(0)
    for _ in range(1000):
        budget.deposit()
    assert not budget.withdraw()
