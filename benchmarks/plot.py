"""The ratios as bars: a panel a job, a group a network, a bar a rival."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from networks import COMPARISONS, ENTRIES, TARGET_THREADS, TARGETED, TORCH
from rivals import OURS
from timing import JOBS

GROUPS = {
    "PyTorch": (TORCH, "#ee7d3b"),
    "torch.compile": (("torch-compile",), "#f3bd8f"),
    "JAX": (("jax",), "#4c86c6"),
    "ONNX Runtime": (("onnxruntime",), "#5aa469"),
}
"""A bar's name: the contenders of which it shows the fastest, and its color."""
BAR = 0.2
GAP = 0.7
"""Space between the networks with targets and the others, in groups."""


def draw(results: Mapping[str, Any], path: Path) -> None:
    """The plot of the networks that were measured at the targets' number of threads."""
    threads = str(TARGET_THREADS)
    rows = {name: results["networks"][name]["threads"] for name in ENTRIES if name in results["networks"]}
    times = {name: row[threads]["times"] for name, row in rows.items() if threads in row}
    if not times:
        return
    pyplot.rcParams |= {"font.family": "DejaVu Sans", "font.size": 9, "svg.fonttype": "path", "svg.hashsalt": "dslc"}
    places = place(list(times))
    figure, axes = pyplot.subplots(1, len(JOBS), sharey=True, figsize=(13, 1.6 + 0.52 * len(times)))
    for panel, (job, title) in zip(axes, JOBS.items(), strict=True):
        draw_panel(panel, job, times, places)
        panel.set_title(title, fontsize=10.5, loc="left", pad=8)
    axes[0].set_yticks(list(places.values()), [ENTRIES[name].title for name in places])
    axes[0].set_ylim(max(places.values()) + 0.6, -0.6)
    figure.supxlabel(f"rival's time / dslc's time at {TARGET_THREADS} threads: right of 1 dslc is faster", fontsize=9.5)
    figure.legend(handles=legend(), loc="upper center", ncols=len(GROUPS) + 1, frameon=False, bbox_to_anchor=(0.5, 1.0))
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def place(names: list[str]) -> dict[str, float]:
    """How far down each network stands."""
    return {name: i + (0 if name in TARGETED else GAP) for i, name in enumerate(names)}


def draw_panel(panel: Axes, job: str, times: Mapping[str, Any], places: Mapping[str, float]) -> None:
    for name, y in places.items():
        bars = ratios(times[name][job])
        for number, (group, value) in enumerate(bars.items()):
            height = y + (number - (len(bars) - 1) / 2) * BAR
            panel.barh(height, value - 1, BAR * 0.88, left=1, color=GROUPS[group][1], zorder=2)
            if (target := target_of(name, job, group)) is not None:
                panel.plot([target, target], [height - BAR / 2, height + BAR / 2], color="#222222", lw=1.4, zorder=3)
    panel.set_xscale("log")
    panel.axvline(1, color="#222222", lw=0.8, zorder=4)
    widen(panel)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(axis="x", which="both", color="#e8e8e8", lw=0.6, zorder=0)
    panel.tick_params(axis="both", which="both", length=0)
    for side in ("top", "right", "left", "bottom"):
        panel.spines[side].set_visible(False)


def widen(panel: Axes) -> None:
    """Always some room on both sides of 1, and marks that a reader can use."""
    low, high = panel.get_xlim()
    low, high = min(low, 0.7), max(high, 3)
    panel.set_xlim(low, high)
    panel.set_xticks([tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high])


def ratios(times: Mapping[str, float]) -> dict[str, float]:
    """By group, the ratio to the fastest of its contenders."""
    found = {}
    for group, (contenders, _) in GROUPS.items():
        present = [times[name] for name in contenders if name in times]
        if present:
            found[group] = min(present) / times[OURS]
    return found


def target_of(name: str, job: str, group: str) -> float | None:
    for key, comparison in COMPARISONS.items():
        if comparison.job == job and comparison.rivals == GROUPS[group][0]:
            return ENTRIES[name].targets.get(key)
    return None


def legend() -> list[Any]:
    bars = [Patch(color=color, label=group) for group, (_, color) in GROUPS.items()]
    return [*bars, Line2D([], [], color="#222222", lw=0, marker="|", markersize=9, markeredgewidth=1.4, label="target")]
