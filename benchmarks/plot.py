"""The plot of the results."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.contenders import POSTERN
from benchmarks.tables import Results

COLUMNS = 2
OURS = "#1a7f5a"
OTHERS = "#9aa5b1"


def draw(results: Results, path: Path) -> bool:
    """Writes a PNG. Returns False if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError:
        return False
    panels = _panels(results)
    rows = math.ceil(len(panels) / COLUMNS)
    figure = Figure(figsize=(12, 3 * rows), layout="constrained", dpi=110)
    places = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axes, (title, bars) in zip(places, panels, strict=False):
        _bars(axes, title, bars)
    for axes in figure.axes[len(panels) :]:
        axes.remove()
    figure.suptitle(
        "One core per server; medians of interleaved rounds; logarithmic scale", fontsize=9
    )
    figure.savefig(path)
    return True


def _panels(results: Results) -> list[tuple[str, Mapping[str, float]]]:
    panels = [
        ("me, 32 connections: requests/s", {n: s.per_second for n, s in results.me.items()}),
        ("me, 1 connection: p50, ms", {n: s.p50 * 1000 for n, s in results.me_alone.items()}),
        ("50 users: requests/s", {n: s.per_second for n, s in results.lists.items()}),
        ("me p99 in a storm of logins, ms", {n: w.p99 * 1000 for n, w in results.storm.items()}),
    ]
    return [(title, bars) for title, bars in panels if bars]


def _bars(axes: Any, title: str, values: Mapping[str, float]) -> None:
    names = sorted(values, key=lambda name: values[name])
    colours = [OURS if name.startswith(POSTERN) else OTHERS for name in names]
    drawn = axes.barh(names, [values[name] for name in names], color=colours)
    axes.bar_label(drawn, [_figure(values[name]) for name in names], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.3)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
