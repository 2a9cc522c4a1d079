"""The long search: network after network, each judged in a child process that may crash or hang; what fails is shrunk
and saved."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import re
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzzing.judge import Tally, Wrong, check
from fuzzing.variations import Case, Variation, cases
from helpers import all_threads_come

FOUND = Path(__file__).resolve().parent.parent / "fuzz_found"
PATIENCE_SECONDS = 1200
"""Long enough where other processes take the cores."""
CASES_A_CHILD = 40
"""Then its compiled modules have filled enough memory."""
DEFAULT = Variation()
OTHERS = 1
"""In how many ways a network is built beside the default: compiling is most of its time."""
SHRUNK = 2
"""So many failures of one kind are shrunk; later ones are only counted and named."""
SHRINK_SECONDS = 90
"""Then the smallest that was found is kept."""
STATUS_SECONDS = 300


def search(
    number: int, judge: Callable[[Case], object], more: int, default: Variation = DEFAULT, shrink: bool = True
) -> None:
    """Judges the network with this number, as `default` builds it and in `more` other ways; the same number is always
    the same network.

    Raises:
        Exception: what `judge` raised, for the smallest case that Hypothesis finds.
    """
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    calls = 0

    # Hypothesis begins with the simplest case of all, which is the same for every number; the second one is drawn.
    @seed(number)
    @settings(max_examples=2, database=None, deadline=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(cases(more, default))
    def run(case: Case) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            judge(case)

    run()


# ----------------------------------------------------------------------------------------------- the child


def kind_of(error: Exception) -> str:
    """What went wrong, without names and numbers: equal for failures with one cause, mostly."""
    if isinstance(error, Wrong):
        return error.kind
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, {place.name}"


def _serve(pipe: Connection, cache: str) -> None:
    """The child: cases in, tallies or failures out."""
    os.environ["DSLC_CACHE"] = cache
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    all_threads_come(setattr)
    with suppress(EOFError, BrokenPipeError):
        while True:
            case = pipe.recv()
            try:
                pipe.send(check(case))
            except Exception as error:
                lines = [*str(error).splitlines()[:1], *getattr(error, "__notes__", ())]
                pipe.send((kind_of(error), "; ".join(lines)))


class Judge:
    """Judges cases in a child process, and starts another one where that ends."""

    def __init__(self, serve: Callable[[Connection, str], None] = _serve, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._serve = serve
        self._judged = 0
        self._process: multiprocessing.process.BaseProcess | None = None

    def __call__(self, case: Case) -> Tally:
        """Raises Wrong where the case fails, and where the child crashes or does not answer."""
        if self._process is None or self._judged >= CASES_A_CHILD:
            self._start()
        assert self._process is not None
        self._judged += 1
        self._pipe.send(case)
        answered = self._pipe.poll(self._patience)
        try:
            answer = self._pipe.recv() if answered else None
        except EOFError:
            answer = None
        if answer is None:
            raise self._ended(answered)
        if isinstance(answer, Tally):
            return answer
        raise Wrong(*answer)

    def _start(self) -> None:
        self.close()
        context = multiprocessing.get_context("spawn")
        self._cache = tempfile.TemporaryDirectory(prefix="dslc-fuzz-")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=self._serve, args=(theirs, self._cache.name), daemon=True)
        self._process.start()
        theirs.close()
        self._judged = 0

    def _ended(self, answered: bool) -> Wrong:
        process = self._process
        assert process is not None
        if answered:
            process.join(10)
        code, why = process.exitcode, "no answer"
        if answered:
            why = f"crash by {signal.Signals(-code).name}" if code and code < 0 else f"end with {code}"
        self.close()
        return Wrong(why, "the process that judged it")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._cache.cleanup()
            self._process = None


# ----------------------------------------------------------------------------------------------- what is found


def saved_text(case: Case, words: str) -> str:
    """A `.net` file that says how it failed, and in which variation."""
    ways = [f"# variation: {json.dumps(asdict(v))}" for v in case.variations]
    return "\n".join([f"# {words}", f"# seed: {case.seed}", *ways, case.text])


def read_saved(path: Path) -> Case:
    """The case of such a file."""
    text = path.read_text()
    (number,) = re.findall(r"^# seed: (\d+)$", text, re.MULTILINE)
    ways = [json.loads(way) for way in re.findall(r"^# variation: (.*)$", text, re.MULTILINE)]
    return Case(text, int(number), tuple(Variation(**{**way, "disable": tuple(way["disable"])}) for way in ways))


@dataclass
class Search:
    """A long run: what was done so far, and what was found."""

    say: Callable[[str], None]
    done: Counter[str]
    failed: Counter[str]
    judge: Judge = field(default_factory=Judge)
    shrunk: Counter[str] = field(default_factory=Counter)

    def one(self, number: int) -> None:
        """The network with this number."""
        first: Wrong | None = None
        enough = math.inf
        smallest: Case | None = None
        ways = slice(None)

        def judge(case: Case) -> None:
            nonlocal first, smallest, ways, enough
            tried = replace(case, variations=case.variations[ways])
            if time.monotonic() > enough and tried != smallest:
                return
            wrong = self.wrong(tried)
            if wrong is None or (first and wrong.kind != first.kind):  # then it is another failure
                return
            if first is None:
                first, ways = wrong, self.guilty(case, wrong)
                tried = replace(case, variations=case.variations[ways])
                self.failed[wrong.kind] += 1
                enough = time.monotonic() + SHRINK_SECONDS
                self.say(f"failure: number {number}: {wrong}")
            smallest = tried
            if self.shrunk[wrong.kind] < SHRUNK:
                raise wrong

        self.done["networks"] += 1
        try:
            search(number, judge, OTHERS)
        except Wrong as wrong:
            assert smallest is not None
            self.shrunk[wrong.kind] += 1
            self.save(smallest, number, str(wrong))

    def wrong(self, case: Case) -> Wrong | None:
        """How a case fails; one that does not is counted."""
        try:
            tally = self.judge(case)
        except Wrong as wrong:
            return wrong
        self.done.update(
            checks=tally.checks, unsure=tally.unsure, skipped=bool(tally.skipped), seconds=round(tally.seconds)
        )
        return None

    def guilty(self, case: Case, wrong: Wrong) -> slice:
        """Which variation fails alone: the others need not be built again."""
        for i, way in enumerate(case.variations):
            alone = self.wrong(replace(case, variations=(way,)))
            if alone is not None and alone.kind == wrong.kind:
                return slice(i, i + 1)
        return slice(None)

    def save(self, case: Case, number: int, words: str) -> None:
        FOUND.mkdir(exist_ok=True)
        name = re.sub(r"\W+", "_", words.partition(":")[0]).strip("_").lower()
        path = FOUND / f"{name}_{number}.net"
        path.write_text(saved_text(case, " ".join(words.split())))
        self.say(f"shrunk: {path.name}: {words}")

    def total(self) -> str:
        return f"total {json.dumps({'done': self.done, 'failed': self.failed})}"


def run(minutes: float, first: int, log: Path | None) -> int:
    """Searches for so many minutes from network number `first` on; how many failed. The counts go on from those in
    the log."""
    earlier = re.findall(r"total (\{.*\})$", log.read_text(), re.MULTILINE) if log and log.exists() else []
    known = json.loads(earlier[-1]) if earlier else {"done": {}, "failed": {}}

    def say(words: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}"
        print(line, flush=True)
        if log:
            with log.open("a") as file:
                file.write(f"{line}\n")

    going = Search(say, Counter(known["done"]), Counter(known["failed"]))
    before = going.failed.total()
    end = time.monotonic() + 60 * minutes
    spoken = time.monotonic()
    number = first
    try:
        while time.monotonic() < end:
            going.one(number)
            number += 1
            if time.monotonic() - spoken > STATUS_SECONDS:
                spoken = time.monotonic()
                say(going.total())
    except KeyboardInterrupt:
        say("stopped")
    finally:
        going.judge.close()
        say(f"next number {number}")
        say(going.total())
    return going.failed.total() - before
