"""Reads files that were damaged at random, until the time is up: each must be read, or refused with a DataError.

    python tests/fuzz_files.py --minutes 10 --seed 1
    python tests/fuzz_files.py --number 37          # this one again, with its traceback

A file is a small whole one of every kind that is read, of which some bytes were changed: behind the checksums and
inside of what is packed too, which chance alone would hardly get through. The numbers are shared out to processes with
little memory, so that one that dies or takes much is found as well.
"""

from __future__ import annotations

import argparse
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
from damage import Damaged, damaged
from whole_files import KINDS

from dslc.language.diagnostics import DataError

BLOCK = 300
"""So many files for a process."""
MEMORY = 4 << 30
"""Bytes of addresses that a process gets: polars alone reserves some."""
SECONDS = 20


def outcome(found: Damaged) -> str:
    """`read`, `refused`, or what went wrong, with its traceback."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.open()
        return "read"
    except DataError as error:
        return "refused" if str(error).strip() else "an error without a text"
    except BaseException:
        return traceback.format_exc()


def block(first: int, count: int, kinds: list[str], folder: Path) -> int:
    """Tries files in this process; how many went wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    wrong, seen = 0, {"read": 0, "refused": 0}
    for number in range(first, first + count):
        (folder / "number").write_text(str(number))
        signal.alarm(SECONDS)  # kills the process, which is then told as one that died
        found = damaged(number, kinds, folder)
        result = outcome(found)
        signal.alarm(0)
        if result in seen:
            seen[result] += 1
        else:
            wrong += 1
            print(f"number {number}, {found.kind}, {found.how}:\n{result}", flush=True)
    print(f"{first} to {first + count - 1}: {seen['read']} read, {seen['refused']} refused, {wrong} wrong", flush=True)
    return wrong


def apart(first: int, count: int, kinds: list[str]) -> int:
    """Tries files in a process of its own; how many went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, __file__, "--number", str(first), "--count", str(count), "--folder", folder, *kinds]
        done = subprocess.run(call, check=False)
        if done.returncode in (0, 1):
            return done.returncode
        number = int((Path(folder) / "number").read_text())
    print(f"number {number} ended the process with {done.returncode}", flush=True)
    left = first + count - number - 1
    return 1 + (apart(number + 1, left, kinds) if left else 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1, help="the number of the first file")
    parser.add_argument("--number", type=int, help="only this file, in this process")
    parser.add_argument("--count", type=int, default=1, help="with --number: so many files from it on")
    parser.add_argument("--folder", type=Path, help="where they are written")
    parser.add_argument("kinds", nargs="*", help=f"all unless given: {', '.join(KINDS)}")
    given = parser.parse_args()
    kinds = given.kinds or list(KINDS)
    if given.number is not None:
        with tempfile.TemporaryDirectory() as folder:
            return min(1, block(given.number, given.count, kinds, given.folder or Path(folder)))
    end, number, wrong = time.monotonic() + 60 * given.minutes, given.seed, 0
    while time.monotonic() < end:
        wrong += apart(number, BLOCK, kinds)
        number += BLOCK
    print(f"{number - given.seed} files, {wrong} wrong")
    return min(1, wrong)


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
