"""Random networks as programs that sanitizers watch, `make fuzz-sanitized`: one thread under the address and undefined
sanitizers, three under the thread sanitizer, which sees the barriers, since they are atomics of C.

    python tests/fuzz_sanitized.py --minutes 60 --seed 1000000

What fails is left in tests/fuzz_found, as large as it was: to build and run a program takes seconds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.passes import memory
from dslc.passes.memory import aligned_size
from dslc.plan import ALIGNMENT
from dslc.planning import planner as planning
from dslc.target import native
from fuzzing.judge import Wrong
from fuzzing.run import FOUND, saved_text, search
from fuzzing.variations import Case, Variation
from helpers import data, randomize_parameters
from standalone import Program, Toolchain

MEMORY = Toolchain(
    "address and undefined", native(), flags=("-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
)
RACES = Toolchain("thread", native(), flags=("-O0", "-g1", "-fsanitize=thread"))
WAYS = ((MEMORY, Variation(threads=1)), (RACES, Variation(threads=3, as_large=True)))
"""As large: each kernel is shared, however small."""


def watch(case: Case) -> int:
    """Runs a network under all sanitizers; how many programs were run. None for those that predict only, or which the
    program around a network does not know: averages and slices.

    Raises:
        Wrong: a sanitizer has something to say, or numbers of threads end in different bits.
    """
    network = check_text(case.text)
    training = network.training
    if network.open or training is None or training.average is not None:
        return 0
    return sum(_run(network, case.seed, tools, way) for tools, way in WAYS)


def _apart() -> ExitStack:
    """Plans with room for a vector behind each tensor: kernels may read the one that begins with its last number, and
    make nothing of what is behind, which a sanitizer cannot know."""
    stack = ExitStack()
    for module in (memory, planning):
        stack.enter_context(
            patch.object(module, "aligned_size", lambda n, itemsize: aligned_size(n, itemsize) + ALIGNMENT // itemsize)
        )
    return stack


def _run(network: Network, seed: int, tools: Toolchain, way: Variation) -> int:
    folder = Path(tempfile.mkdtemp(prefix="dslc-watched-"))
    try:
        with _apart():
            plan = way.plan(network)
        if plan.step_batch > plan.batch:
            return 0
        program = Program(plan, tools, folder)
        rng = np.random.default_rng(seed)
        randomize_parameters(program, rng)
        start = {name: view.numpy() for name, view in program.parameters.items()}
        xs, ys = data(network, plan.batch + plan.batch // 3, rng, network.dtype)
        found = set()
        for threads in range(1, way.threads + 1):
            for name, array in start.items():
                program.parameters[name] = array
            found.add(b"".join(program.run(xs, ys, threads).bits()))
    except AssertionError as error:
        raise Wrong(f"{tools.name} sanitizer", str(error)) from None
    finally:
        shutil.rmtree(folder)
    if len(found) > 1:
        raise Wrong("other bits", f"with up to {way.threads} threads")
    return way.threads


def run(minutes: float, first: int) -> int:
    """Watches network after network from number `first` on, for so many minutes; how many failed."""
    end, number, programs, failed = time.monotonic() + 60 * minutes, first, 0, 0
    while time.monotonic() < end:
        smallest: list[Case] = []

        def judge(case: Case, smallest: list[Case] = smallest) -> None:
            nonlocal programs
            try:
                programs += watch(case)
            except Wrong:
                smallest[:] = [case]
                raise

        try:
            search(number, judge, more=0, shrink=False)
        except Wrong as wrong:
            failed += 1
            words = " ".join(str(wrong).split())[:500]
            print(f"failure: number {number}: {words}", flush=True)
            (case,) = smallest
            FOUND.mkdir(exist_ok=True)
            path = FOUND / f"sanitizer_{number}.net"
            path.write_text(saved_text(replace(case, variations=(WAYS[1][1],)), words))
        number += 1
    print(f"{number - first} networks, {programs} runs, {failed} failed; next number {number}")
    return failed


def main() -> int:
    """Returns 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1_000_000, help="the number of the first network")
    given = parser.parse_args()
    return min(run(given.minutes, given.seed), 1)


if __name__ == "__main__":
    sys.exit(main())
