"""docs/benchmarks.md from docs/benchmarks.json, the medians; run as a script it writes the page and the plot anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from networks import COMPARISONS, ENTRIES, TARGET_THREADS, TARGETED, UNTUNED, Comparison, Entry
from rivals import CONTENDERS, OURS
from timing import JOBS

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS, PAGE, PLOT = "benchmarks.json", "benchmarks.md", "benchmarks.svg"
NOISY = 0.1
"""A spread of the blocks that is worth telling."""
Row = Mapping[str, Any]


def write_report(results: Row, folder: Path) -> None:
    """The medians, the page and the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).write_text(json.dumps(results, indent=1) + "\n")
    (folder / PAGE).write_text(page(results))
    try:
        from plot import draw
    except ImportError:
        print("matplotlib is not installed: the plot stays as it is")
        return
    draw(results, folder / PLOT)


def page(results: Row) -> str:
    networks = results["networks"]
    counts = sorted({int(n) for row in networks.values() for n in row["threads"]}, reverse=True)
    parts = [introduction(results)]
    parts += [part for threads in counts for part in (f"## {_threads(threads)}", *tables(networks, threads))]
    parts += extras(results)
    return "\n\n".join(part for part in parts if part) + "\n"


def introduction(results: Row) -> str:
    machine, runs = results["machine"], [r for row in results["networks"].values() for r in row["threads"].values()]
    versions = ", ".join(f"{name} {v or 'not installed'}" for name, v in machine["versions"].items())
    return f"""# Benchmarks

Written by `make bench` (`python benchmarks/run.py --write`); how it measures is said in
[benchmarks/README.md](../benchmarks/README.md). A ratio is the rival's time divided by dslc's: above 1 dslc is faster.

* Machine: {machine["cpu"]}, {machine["cores"]} cores, {machine["memory"]}, {machine["system"]}
* Compiler: {machine["compiler"]}; Python {machine["python"]}
* Versions: {versions}
* Measured: {_span(run["date"] for run in runs)}, at commit {", ".join(sorted({run["commit"] for run in runs}))}

![Ratios at {TARGET_THREADS} threads](benchmarks.svg)"""


def _span(dates: Iterable[str]) -> str:
    found = sorted(set(dates))
    return found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _threads(count: int) -> str:
    return "One thread" if count == 1 else f"{count} threads"


# ------------------------------------------------------------------------------------------------ ratios and times


def tables(networks: Row, threads: int) -> list[str]:
    """Ratios of the networks with targets, of the untuned ones, then all times, then shares of the peak."""
    here = {name: row for name, row in networks.items() if str(threads) in row["threads"]}
    ordered = [name for name in ENTRIES if name in here]
    tuned, untuned = ([n for n in ordered if n in group] for group in (TARGETED, UNTUNED))
    return [
        *_titled("### Networks with targets", ratio_table(here, tuned, threads, threads == TARGET_THREADS)),
        *_titled("### Networks that nobody tuned for", ratio_table(here, untuned, threads, False)),
        *_titled("### Times", times_table(here, ordered, threads)),
        f"± is half the range of the middle half of the blocks, told where that range is over {NOISY:.0%}.",
        *_titled("### Share of the machine's peak", peak_table(here, ordered, threads)),
        absences(here, ordered, threads),
    ]


def _titled(title: str, table: str) -> list[str]:
    return [title, table] if table else []


def ratio(row: Row, threads: int, comparison: Comparison) -> float | None:
    """How many times as long the fastest of the rivals takes."""
    times = row["threads"][str(threads)]["times"][comparison.job]
    found = [times[rival] for rival in comparison.rivals if rival in times]
    return min(found) / times[OURS] if found else None


def ratio_table(rows: Row, names: list[str], threads: int, with_targets: bool) -> str:
    """A row a network; with targets each ratio has its target beside it, and a cross where it is missed."""
    header = ["network"]
    for comparison in COMPARISONS.values():
        header += [comparison.title, "target"] if with_targets else [comparison.title]
    body = []
    for name in names:
        cells = [ENTRIES[name].title]
        for key, comparison in COMPARISONS.items():
            found, target = ratio(rows[name], threads, comparison), ENTRIES[name].targets.get(key)
            cells.append(_ratio_cell(found, target if with_targets else None))
            cells += [f"{target:g}"] if with_targets and target is not None else []
        body.append(cells)
    return markdown(header, body)


def _ratio_cell(found: float | None, target: float | None) -> str:
    if found is None:
        return "–"
    return f"{found:.2f}" if target is None or found >= target else f"**{found:.2f}** ✗"


def times_table(rows: Row, names: list[str], threads: int) -> str:
    body = []
    for name in names:
        row = rows[name]["threads"][str(threads)]
        for job in row["times"]:
            cells = [_time_cell(row["times"][job].get(c), row["spread"][job].get(c)) for c in CONTENDERS]
            body.append([ENTRIES[name].title, JOBS[job], *cells])
    return markdown(["network", "", *(c.title for c in CONTENDERS.values())], body)


def _time_cell(seconds: float | None, spread: float | None) -> str:
    if seconds is None or spread is None:
        return "–"
    return show_time(seconds) + (f" ±{spread / 2:.0%}" if spread > NOISY else "")


def peak_table(rows: Row, names: list[str], threads: int) -> str:
    """What part of the multiply-adds that the machine could do in that time each step does."""
    body = []
    for name in names:
        precision = rows[name]["precision"]
        peak = max(row["threads"][str(threads)]["peak"][precision] for row in rows.values())
        cells = [ENTRIES[name].title, f"{peak / 1e9:.0f}"]
        for job in ("train", "predict"):
            work, seconds = rows[name]["work"][job], rows[name]["threads"][str(threads)]["times"][job][OURS]
            cells += [f"{work / 1e6:,.2f}", f"{work / seconds / peak:.0%}"]
        body.append(cells)
    header = ["network", "peak, 10⁹ multiply-adds a second", "training step, 10⁶ multiply-adds", "share of peak"]
    return markdown([*header, "prediction, 10⁶ multiply-adds", "share of peak"], body)


def absences(rows: Row, names: list[str], threads: int) -> str:
    lines = []
    for name in names:
        for contender, reason in rows[name]["threads"][str(threads)]["absent"].items():
            brief = " ".join(reason.split())[:160]
            lines.append(f"* {CONTENDERS[contender].title} is absent from {ENTRIES[name].title}: {brief}")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ extras


def extras(results: Row) -> list[str]:
    found = {name: results["extras"][name] for name in ENTRIES if name in results["extras"]}
    if not found:
        return []
    waits = [[ENTRIES[n].title, f"{e['compile']:.2f} s", f"{e['load']:.3f} s"] for n, e in found.items()]
    memory = [memory_cells(ENTRIES[name], e["memory"]) for name, e in found.items()]
    return [
        "## Waiting",
        "Compiling: `dslc compile` as a process, with an empty cache. Loading: `import dslc` and `dslc.load` in a new "
        "process, with the module in the cache; it includes drawing the first weights.",
        markdown(["network", "compiling", "loading"], waits),
        "## Memory",
        "Peak resident memory of a process that only trains; in parentheses what is left without what the process held "
        "before the network was made.",
        markdown(["network", "dslc", "PyTorch"], memory),
        *(part for name, e in found.items() if "cost" in e for part in cost_part(ENTRIES[name], e)),
    ]  # fmt: skip


def memory_cells(entry: Entry, memory: Mapping[str, Mapping[str, int]]) -> list[str]:
    """dslc's cell and that of PyTorch in the thriftier format."""

    def show(found: Mapping[str, int]) -> str:
        return f"{found['peak'] / 2**20:,.0f} MB ({(found['peak'] - found['before']) / 2**20:,.0f} MB)"

    torch = [memory[name] for name in memory if name != OURS]
    best = min(torch, key=lambda m: m["peak"], default=None)
    return [entry.title, show(memory[OURS]), "–" if best is None else show(best)]


def cost_part(entry: Entry, extra: Row) -> list[str]:
    body = []
    for batch, costs in extra["cost"].items():
        torch = min((costs[name] for name in costs if name != OURS), default=None)
        cells = ["–", "–"] if torch is None else [show_time(torch), f"{torch / costs[OURS]:.2f}"]
        body.append([batch, show_time(costs[OURS]), *cells])
    title = entry.title.partition(",")[0]
    return [
        f"## Training one example in batches of any size: {title}",
        f"A training step's time divided by its examples, with {_threads(extra['threads']).lower()}.",
        markdown(["batch", "dslc", "PyTorch", "ratio"], body),
    ]


# ------------------------------------------------------------------------------------------------ showing


def show_time(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if seconds >= size or unit == "ns":
            value = seconds / size
            return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"
    raise AssertionError


def markdown(header: list[str], body: list[list[str]]) -> str:
    """A table, all but the first column to the right; nothing without rows."""
    if not body:
        return ""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *body])


def print_row(entry: Entry, threads: int, row: Row) -> None:
    """What was just measured, on the terminal."""
    print(f"{entry.title}, {_threads(threads).lower()}")
    for job, times in row["threads"][str(threads)]["times"].items():
        others = [
            f"{CONTENDERS[n].title} {show_time(s)} ({s / times[OURS]:.2f})" for n, s in times.items() if n != OURS
        ]
        print(f"  {JOBS[job]}: {', '.join([f'dslc {show_time(times[OURS])}', *others])}")
    for contender, reason in row["threads"][str(threads)]["absent"].items():
        print(f"  absent: {CONTENDERS[contender].title}: {' '.join(reason.split())[:160]}")


if __name__ == "__main__":
    write_report(json.loads((DOCS / RESULTS).read_text()), DOCS)
