"""What the bench of growth and of costs makes of its samples, and the profile of its stacks; no servers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import bench.__main__ as bench_main
from bench.__main__ import commit
from bench.__main__ import join
from bench.costing import Compared
from bench.costing import bars
from bench.costing import costs_of
from bench.costing import table
from bench.costing import verdict
from bench.generator import nested_sets
from bench.growing import draw_pages
from bench.growing import flatness
from bench.growing import queries_table
from bench.harness.report import LIMIT
from bench.harness.report import MEASURED
from bench.harness.report import matrix
from bench.harness.report import medians_of
from bench.harness.report import ratio
from bench.profile import shares
from bench.profile import table as profile_table

COMPARED = Compared("tracing", "with", "without")


def sample(turn: int, server: str, cpu_ms: float, scenario: str = "items_page") -> dict[str, Any]:
    """One measurement."""
    found = {"round": turn, "server": server, "scenario": scenario, "cpu_ms": cpu_ms}
    return found | {"requests": 100}


def both(pairs: list[tuple[float, float]], scenario: str = "items_page") -> list[dict[str, Any]]:
    """CPU-ms without and with the pattern, by round."""
    return [
        one
        for turn, (without, with_it) in enumerate(pairs, 1)
        for one in (
            sample(turn, "without", without, scenario),
            sample(turn, "with", with_it, scenario),
        )
    ]


def test_ratios_are_taken_within_a_round() -> None:
    # a machine that is twice as slow in the second round does not count
    [cost] = costs_of(both([(0.10, 0.11), (0.20, 0.22), (0.10, 0.15)]), COMPARED)
    assert cost.ratio == pytest.approx(1.1)
    assert (min(cost.ratios), max(cost.ratios)) == pytest.approx((1.1, 1.5))
    assert cost.of_page == pytest.approx(0.1)


@pytest.mark.parametrize(("with_it", "told"), [(0.23, "one call of Redis"), (0.26, "**more than")])
def test_what_is_excused_is_so_up_to_a_bound(with_it: float, told: str) -> None:
    [cost] = costs_of(both([(0.20, with_it)]), Compared("rate_limit", "with", "without"))
    assert told in verdict(cost)


def test_what_is_added_elsewhere_is_a_share_of_a_page() -> None:
    samples = both([(0.20, 0.20)]) + both([(0.05, 0.08)], "user_hit")
    page, user = costs_of(samples, COMPARED)
    assert (page.scenario, user.scenario) == ("items_page", "user_hit")
    assert user.ratio == pytest.approx(1.6)
    assert user.of_page == pytest.approx(0.15)
    assert not user.within
    assert verdict(user) == "**more than 10 %**"
    assert "| tracing | user_hit | **more" in table([page, user])
    assert [bar.value for bar in bars([page, user], "user_hit")] == pytest.approx([1.6])


def test_rounds_that_lack_a_side_are_left_out() -> None:
    assert costs_of([sample(1, "with", 0.1), sample(2, "without", 0.1)], COMPARED) == []


QUERIES: list[dict[str, Any]] = [
    {
        "rows": rows,
        "before": before,
        "place": place,
        "keyset_ms": 0.2,
        "offset_ms": 0.2 + before / 1000,
    }
    for rows in (1_000, 10_000)
    for place, before in (("beginning", 0), ("middle", rows // 2), ("end", rows - 20))
]


def test_the_depth_of_a_page_is_compared_both_ways() -> None:
    assert "keyset, and 50" in flatness(QUERIES)
    assert "1.00 times as long" in flatness(QUERIES)
    assert "| 10,000 | 9,980 | 0.200 | 10.2 | 50.9 |" in queries_table(QUERIES)


def test_plots_are_the_same_for_the_same_data(tmp_path: Path) -> None:
    samples = [{**one, "cpu_ms": 0.2} for one in QUERIES]
    for name in ("one", "other"):
        draw_pages(QUERIES, samples, tmp_path / f"{name}.svg")
    one, other = ((tmp_path / f"{name}.svg").read_bytes() for name in ("one", "other"))
    assert one == other
    assert b"OFFSET" in one
    assert (tmp_path / "one.json").exists()


def test_sets_of_patterns_grow() -> None:
    sets = nested_sets()
    assert len(sets) >= 6
    assert all({*small} < {*large} for small, large in pairwise(sets))


def test_a_layer_has_the_time_of_what_it_calls_outside_of_the_layers() -> None:
    raw = (
        "run (asyncio/runners.py:1);__call__ (app/http/edge.py:9);get (app/cache/cache.py:5) 6\n"
        "run (asyncio/runners.py:1);__call__ (app/http/edge.py:9);sha256 (hashlib.py:5) 3\n"
        "run (asyncio/runners.py:1) 1\n"
    )
    found = shares(raw)
    assert found == {
        "cache": 0.6,
        "edge: request id, headers, bounds": 0.3,
        "event loop and kernel": 0.1,
    }
    assert "| cache | 60.0 | 0.0 |" in profile_table({"one": (0.1, found), "two": (0.2, {})})
    with pytest.raises(ValueError, match="no samples"):
        shares("")


def test_the_reports_of_all_parts_are_one(tmp_path: Path) -> None:
    """Plots are found from there, and each part has the one title."""
    for part, text in {
        "growth": "# Growth\n\nflat\n![pages](pages.svg)\n",
        "jobs": "done\n",
    }.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "report.md").write_text(text)
    join(tmp_path, ["All is well."])
    told = (tmp_path / "report.md").read_text()
    assert told == (
        f"Of {commit()}.\n\nAll is well.\n\n"
        "# jobs\n\ndone\n\n# growth\n\nflat\n![pages](growth/pages.svg)\n"
    )


def test_the_report_of_servers_has_the_ratios_of_rounds_and_their_range() -> None:
    rest = dict.fromkeys(MEASURED, 1.0) | {"failed": 0}
    samples = [
        rest | sample(turn, server, cpu_ms, "user_hit")
        # a slow second round for both; in the third the peer was not measured
        for turn, server, cpu_ms in (
            (1, "peer", 0.4),
            (1, "service", 0.1),
            (2, "peer", 0.6),
            (2, "service", 0.3),
            (3, "service", 0.9),
        )
    ]
    medians = medians_of(samples, "peer")
    assert medians["user_hit"]["service"]["cpu_ms"] == pytest.approx(0.3)
    assert medians["user_hit"]["service"]["cpu_ms_best"] == pytest.approx(0.1)
    rows = matrix(medians, ["peer", "service", "never started"], ratio)
    assert rows[2:] == ["| peer | 1.00 [1.00–1.00] |", "| service | 3.00 [2.00–4.00] |"]
    swapped = {"peer": "service", "service": LIMIT}
    to_limit = medians_of([one | {"server": swapped[one["server"]]} for one in samples], "peer")
    assert ratio(to_limit["user_hit"]["service"], "of_limit") == "3.00 [2.00–4.00]"
    alone = medians_of([one for one in samples if one["server"] == "service"], "peer")
    assert matrix(alone, ["service"], ratio)[2:] == ["| service | – |"]


def test_options_reach_the_part_that_they_are_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[tuple[str, list[str]]] = []

    def measure(part: str, _: Path, options: list[str]) -> int:
        measured.append((part, options))
        return 3 if part == "costs" else 0

    monkeypatch.setattr(bench_main, "measure", measure)
    monkeypatch.setattr(bench_main, "build", lambda _: None)
    monkeypatch.setattr(bench_main, "BUILD", tmp_path)
    assert bench_main.main([]) == 3
    assert measured == [(part, []) for part in bench_main.ALL]
    assert "its output says why: costs." in capsys.readouterr().out
    measured.clear()
    assert bench_main.main(["--quick"]) == 3
    assert measured == [*bench_main.QUICK.items()]
    measured.clear()
    assert bench_main.main(["--service-only", "--rounds", "2"]) == 0
    assert measured == [("service", ["--rounds", "2"])]
    measured.clear()
    assert bench_main.main(["--help"]) == 0
    for wrong in (["--rounds", "2"], ["--bogus"], ["--jobs-only", "--costs-only"]):
        with pytest.raises(SystemExit, match="Options are those of one part"):
            bench_main.main(wrong)
    assert measured == []
