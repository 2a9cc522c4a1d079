"""`dslc bench`: how fast a network is, beside other frameworks and beside what the machine can do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import Define, Spec, Threads, app, examples, overrides, thread_option, writing
from dslc.cli.whole import Whole
from dslc.compiler import check_file
from dslc.language.diagnostics import CallError

if TYPE_CHECKING:
    from dslc.runtime.bench.page import Table
    from dslc.runtime.bench.report import Bench


@app.command(
    help_epilogue=examples(
        "dslc bench lenet5",
        "dslc bench mlp --batches 1,16,256 -o bench.html",
        "dslc bench specs/residual.net --rivals none --threads 1",
    )
)
def bench(
    spec: Spec,
    *,
    batches: str | None = None,
    rivals: str = "torch,jax,onnxruntime",
    seconds: float = 0.2,
    rounds: Whole = 5,
    threads: Threads = "auto",
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    define: Define = None,
) -> None:
    """Measure training and prediction on random data: examples a second beside PyTorch, JAX and ONNX Runtime, time by
    layer and pass, and shares of what the machine can do at most.

    The rivals' networks are made from the same checked spec. Each works in a process of its own, one at a time, in
    turns, and is timed only if it computes the same: outputs, and the losses of the first steps. In brackets is how
    many times ours a rival takes. Nothing else should run meanwhile.

    Args:
        batches: Sizes of the mini-batch, as in 1,16,256; by default the file's. Layers are shown at the first.
        rivals: Which of torch, jax and onnxruntime, with commas between; none for dslc alone.
        seconds: How long a block of calls lasts.
        rounds: Of how many blocks the median is taken.
        output: An .html to write, with charts.
    """
    from dslc.cli.tables import print_table
    from dslc.cores import available_cores
    from dslc.runtime.bench.report import bench as measure
    from dslc.runtime.bench.report import notes_of
    from dslc.runtime.bench.turns import Pace
    from dslc.runtime.runs.environment import environment

    if output is not None and Path(output).suffix != ".html":
        raise CallError(f"-o names an .html, not {output}")
    if seconds <= 0 or rounds < 1:
        raise CallError("--seconds must be above 0, and --rounds at least 1")
    given, wanted = overrides(define), thread_option(threads)
    sizes: list[dict[str, object]] = [{}] if batches is None else [{"batch": size} for size in _sizes(batches)]
    networks = [check_file(spec, given | size) for size in sizes]
    used = available_cores() if wanted == "auto" else wanted
    machine = environment((), used)["machine"]
    found = measure(networks, _rivals(rivals), used, Pace(seconds, rounds), machine, _tell)
    tables, notes = tables_of(found), notes_of(found)
    for table in tables:
        print_table(table.title, table.columns, table.rows, "l" + "r" * (len(table.columns) - 1))
        print()
    for note in notes:
        print(f"note: {note}")
    if output is not None:
        _write(Path(output), found, tables, notes)


def tables_of(found: Bench) -> list[Table]:
    """What is printed, and lies in the page."""
    from dslc.runtime.bench.page import Table
    from dslc.runtime.bench.report import layer_table, limit_table, speed_table
    from dslc.runtime.bench.worker import CONTENDERS

    titles = [CONTENDERS[name].title for name in found.contenders]
    jobs = dict.fromkeys(m.job for m in found.measured)
    tables = [
        Table(f"{found.net}, {job}: examples a second; {found.machine}", *speed_table(found, job, titles))
        for job in jobs
    ]
    tables.append(Table("of what the machine can do, as measured", *limit_table(found)))
    for profile in found.profiles:
        about = f"{profile.step}, {profile.examples} examples: time by layer"
        tables.append(Table(about, *layer_table(profile, found.limits)))
    return tables


def _sizes(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise CallError(f"--batches wants sizes, as in 1,16,256, not {text!r}")
    return [int(word) for word in words]


def _rivals(text: str) -> list[str]:
    from dslc.runtime.bench.worker import CONTENDERS, OURS

    names = [] if text == "none" else [word.strip() for word in text.split(",")]
    known = [name for name in CONTENDERS if name != OURS]
    if unknown := [name for name in names if name not in known]:
        raise CallError(f"--rivals names {', '.join(known)} or none, not {unknown[0]!r}")
    return names


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write(path: Path, found: Bench, tables: list[Table], notes: list[str]) -> None:
    from dslc.cache import write_whole
    from dslc.cli.page import script_or_note
    from dslc.runtime.bench.page import render_bench

    title = f"{found.net}: how fast it is"
    page = render_bench(title, script_or_note("the page"), tables, notes, found.profiles, found.measured)
    with writing(path):
        write_whole(path, page.encode())
    print(f"wrote {path}")
