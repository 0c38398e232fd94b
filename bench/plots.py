"""Plots as SVG files that are the same for the same data, with that data as JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Of Okabe and Ito: told apart by everybody. Marks tell them apart in black and white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKS = ("o", "s", "^", "D", "v", "P")
_PANEL_INCHES = (4.6, 3.6)
_BAR_INCHES = 0.28


@dataclass(frozen=True)
class Line:
    """Points in the order of x. `dashed` sets what is compared with apart from what is measured; lines
    of the same `group` have one colour and one mark."""

    label: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    group: str = ""


@dataclass(frozen=True)
class Panel:
    """Lines in one pair of axes, whose labels name the units. A logarithmic axis leaves out what is
    not above 0, and is none below a decade; `symlog_x` is logarithmic and has a 0 as well."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False
    symlog_x: bool = False


@dataclass(frozen=True)
class Bar:
    """A value, and the least and the most that were measured."""

    label: str
    value: float
    least: float
    most: float


def draw_lines(panels: Sequence[Panel], path: Path) -> None:
    """Panels side by side into an SVG file; their data into a JSON file of the same name."""
    from matplotlib.figure import Figure

    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(panels), height), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        groups = list(dict.fromkeys(line.group or line.label for line in panel.lines))
        for line in panel.lines:
            number = groups.index(line.group or line.label)
            axes.plot(
                [x for x, _ in line.points],
                [y for _, y in line.points],
                label=line.label,
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKS[number % len(_MARKS)],
                markersize=4,
                linestyle="--" if line.dashed else "-",
            )
        _finish(axes, panel)
    _write(figure, path, [asdict(panel) for panel in panels])


def draw_bars(bars: Sequence[Bar], title: str, x: str, limit: float, path: Path) -> None:
    """One bar a row from 1 on, with its range; `limit` is drawn as a line. Data as JSON beside."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.4 + _BAR_INCHES * len(bars)), layout="constrained")
    axes = figure.subplots()
    rows = range(len(bars))
    colours = [_COLOURS[1] if bar.value > limit else _COLOURS[0] for bar in bars]
    axes.barh(rows, [bar.value - 1 for bar in bars], left=1, color=colours, height=0.6)
    axes.hlines(rows, [b.least for b in bars], [b.most for b in bars], color="black", linewidth=1)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.axvline(
        limit, color="grey", linewidth=0.8, linestyle="--", label=f"{100 * (limit - 1):.0f} % more"
    )
    axes.set_yticks(rows, [bar.label for bar in bars])
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    _write(figure, path, [asdict(bar) for bar in bars])


def _finish(axes: Any, panel: Panel) -> None:
    from matplotlib.ticker import LogLocator

    if panel.symlog_x:
        axes.set_xscale("symlog", linthresh=10, linscale=0.5)
        axes.set_xlim(left=-1)
    elif panel.log_x:
        axes.set_xscale("log")
        # few values that were chosen are better marks than powers of ten
        values = sorted({x for line in panel.lines for x, _ in line.points})
        axes.set_xticks(values, [f"{x:,g}" if x < 10_000 else f"{x:,.0f}" for x in values])
        axes.minorticks_off()
    heights = [y for line in panel.lines for _, y in line.points]
    if panel.log_y and heights and max(heights) > 10 * min(heights):
        axes.set_yscale("log", subs=())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, 1.1 * max(heights, default=1))
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _write(figure: Any, path: Path, data: list[dict[str, Any]]) -> None:
    """No date, no version and no random ids: a plot changes when its data does."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "perfgen"}):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    path.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n")
