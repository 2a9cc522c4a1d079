"""Image files as pixels, many at a time: here, or in processes of their own.

A worker process runs this file: it takes lists of files at its standard input and answers at its standard output. It
ends when its input ends, so that it never outlives whoever has started it, and hears no Ctrl-C.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc.cores import available_cores
from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import Reading
from dslc.runtime.data.pixels import read_pixels

Array = np.ndarray[Any, Any]
CHUNK = 32
"""Files that a worker gets at a time."""
FEW, MOST_WORKERS = 2000, 8
"""Fewer files are decoded here unless told otherwise: to start a worker takes longer. So many workers are the most."""


@dataclass(frozen=True)
class Decoded:
    """An image: shape (h, w, c) and bytes of a number, its pixels if they are wanted, and what is to be noted; or why
    it cannot be read."""

    shape: tuple[int, ...] = ()
    itemsize: int = 0
    pixels: Array | None = None
    note: str = ""
    error: str = ""


def decode(file: Path, how: Reading) -> Decoded:
    """One image file."""
    try:
        pixels, note = read_pixels(file, how)
    except DataError as error:
        return Decoded(error=str(error))
    return Decoded(pixels.shape, pixels.dtype.itemsize, pixels, note)


def worker_count(wanted: int | None, files: int) -> int:
    """How many processes decode so many files; none if it is done here."""
    if wanted is not None:
        return wanted
    return 0 if files < FEW else min(available_cores(), MOST_WORKERS)


class Decoders:
    """Worker processes, started when they are first needed. With `workers` 0 everything is done here."""

    def __init__(self, workers: int, how: Reading) -> None:
        self.workers, self.how = workers, how
        self._processes: list[subprocess.Popen[bytes]] = []

    def decoded(self, files: Sequence[Path], keep: bool) -> Generator[Decoded]:
        """The images of these files in their order; `keep`: with their pixels.

        Raises:
            DataError: a worker has died.
        """
        if not self.workers:
            for file in files:
                found = decode(file, self.how)
                yield found if keep else replace(found, pixels=None)
            return
        chunks = deque(files[first : first + CHUNK] for first in range(0, len(files), CHUNK))
        busy: deque[tuple[subprocess.Popen[bytes], Sequence[Path]]] = deque()
        try:
            for process in self._started(min(self.workers, len(chunks))):
                busy.append(self._asked(process, chunks.popleft(), keep))
            while busy:
                process, chunk = busy.popleft()
                answer = _answer(process, chunk)
                if chunks:
                    busy.append(self._asked(process, chunks.popleft(), keep))
                yield from answer
        except BaseException:
            self.close()  # answers that are still to come are not wanted any more
            raise

    def _started(self, count: int) -> list[subprocess.Popen[bytes]]:
        while len(self._processes) < count:
            self._processes.append(_start())
        return self._processes[:count]

    def _asked(
        self, process: subprocess.Popen[bytes], chunk: Sequence[Path], keep: bool
    ) -> tuple[subprocess.Popen[bytes], Sequence[Path]]:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it is missed when its answer is
            pickle.dump((list(chunk), self.how, keep), process.stdin)
            process.stdin.flush()
        return process, chunk

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
        self._processes = []

    def __del__(self) -> None:
        self.close()


def _start() -> subprocess.Popen[bytes]:
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", f"from {__name__} import work; work()"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=known, start_new_session=True)


def _answer(process: subprocess.Popen[bytes], chunk: Sequence[Path]) -> list[Decoded]:
    assert process.stdout is not None
    try:
        found: list[Decoded] = pickle.load(process.stdout)
        return found
    except (EOFError, pickle.UnpicklingError):
        code = process.wait()
        raise DataError(
            f"a process that decodes images died (exit code {code}) at one of {len(chunk)} files from {chunk[0]} on: "
            "--workers 0 decodes them without such processes"
        ) from None


def work() -> None:
    """What a worker does, until its input ends."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    while True:
        try:
            files, how, keep = pickle.load(asked)
        except EOFError:
            return
        found = [decode(file, how) for file in files]
        pickle.dump(found if keep else [replace(one, pixels=None) for one in found], answers)
        answers.flush()
