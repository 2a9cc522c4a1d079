"""`dslc generate`: text that a run writes."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import Run, Threads, app, examples, positive, thread_option
from dslc.cli.whole import Whole
from dslc.language.diagnostics import CallError


@app.command(help_epilogue=examples('dslc generate runs/CharGPT-1 --start "The " --length 300'))
def generate(
    run: Run,
    *,
    start: Annotated[str, Parameter(name="--start")],
    length: Whole = 200,
    temperature: float = 1.0,
    seed: Whole = 0,
    threads: Threads = "auto",
) -> None:
    """Write on from a text, character by character, with a run that was trained to say the next one.

    Args:
        start: The text to go on from.
        length: How many characters.
        temperature: Below 1 likely characters come more often; 0: always the likeliest.
        seed: Of the random numbers.
    """
    from dslc.runtime.runs.folder import load_run
    from dslc.runtime.runs.generation import continuation

    positive(length, "--length")
    positive(seed, "--seed", 0)
    if not 0 <= temperature < float("inf"):
        raise CallError(f"--temperature is a number of at least 0, not {temperature:g}")
    written = continuation(load_run(run, thread_option(threads)), start, length, temperature, seed)
    first = next(written)
    sys.stdout.write(start + first)
    for character in written:
        sys.stdout.write(character)
    sys.stdout.write("\n")
