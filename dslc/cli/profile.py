"""What `dslc train --profile` shows: where the time of a training step has gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dslc.runtime.model import Model


def show_profile(folder: Path, model: Model, steps: int) -> None:
    """Prints a step of a timed model by layer and pass, the mean of all steps, and leaves a page in the run folder."""
    from dslc.cache import write_whole
    from dslc.cli.page import script_or_note
    from dslc.cli.tables import print_table
    from dslc.runtime.bench.machine import measure_limits
    from dslc.runtime.bench.page import Table, render_bench
    from dslc.runtime.bench.profile import profile_of
    from dslc.runtime.bench.report import inside_note, layer_table
    from dslc.runtime.bench.timed import TimedModel, timings
    from dslc.runtime.runs.folder import PROFILE

    if not steps or not isinstance(model, TimedModel):
        return
    found = profile_of(model.plan, timings(model), "train", steps, model.batch)
    limits = measure_limits(model.plan.target, model.plan.itemsize, model.threads)
    title = f"{model.network.name}: a training step of {model.batch} examples, the mean of {steps:,}"
    table, notes = Table(title, *layer_table(found, limits)), inside_note(found)
    print_table(table.title, table.columns, table.rows, "l" + "r" * (len(table.columns) - 1))
    for note in notes:
        print(f"note: {note}")
    page = render_bench(f"{model.network.name}: profile", script_or_note("the profile"), [table], notes, [found], [])
    write_whole(folder / PROFILE, page.encode())
    print(f"profile: {folder / PROFILE}")
