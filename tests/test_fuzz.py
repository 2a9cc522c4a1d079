"""Random networks of the whole language against NumPy; `make fuzz` goes on with it for hours.

The networks that once failed lie in tests/fuzz_found and are tried in all variations.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import dslc.layers
from dslc import clips, inits, losses, optimizers, registry, regularizers, schedules
from dslc.checker.train import TrainReader
from dslc.clips import Clip
from dslc.compiler import check_text
from dslc.inits import Init
from dslc.language.arguments import slots
from dslc.layers import Layer
from dslc.losses import Loss
from dslc.optimizers import Optimizer
from dslc.regularizers import Regularizer
from dslc.schedules import Schedule
from fuzzing.judge import Tally, Wrong, check
from fuzzing.run import FOUND, Judge, read_saved, saved_text, search
from fuzzing.variations import Case, Variation, every_variation

pytestmark = pytest.mark.optimized
NETWORKS, CHUNK, MANY = 100, 10, 400
QUICK = Variation()
THINGS = {
    name: thing
    for package, base in (
        (dslc.layers, Layer), (losses, Loss), (optimizers, Optimizer), (schedules, Schedule), (clips, Clip),
        (regularizers, Regularizer), (inits, Init),
    )
    for name, thing in registry.every(package, base).items()
}  # fmt: skip
"""All that has a name in the language; some names are of several kinds."""
STATEMENTS = ("param", "block", "repeat", "when", "shared", "split", "table", "train_only", "subject_to", "warmup")
COMMON = ("name", "freeze", "lr_factor", "init", "l1", "l2", "max_norm", "balanced", "low", "mixed", "int8")
"""What else there is: statements, arguments of all layers, words."""


def case_of(number: int, more: int = 0) -> Case:
    """The random network with this number."""
    seen: list[Case] = []
    search(number, seen.append, more, QUICK, shrink=False)
    return seen[-1]


@pytest.mark.parametrize("first", range(0, NETWORKS, CHUNK))
def test_random_networks(first: int) -> None:
    """As they are built by default, and every third one in another way too. What fails here is shrunk by
    `python tests/fuzz.py --minutes 1 --seed NUMBER`."""
    tallies: list[Tally] = []
    for number in range(first, first + CHUNK):
        try:
            search(number, lambda case: tallies.append(check(case)), int(number % 3 == 0), QUICK, shrink=False)
        except Exception as error:
            error.add_note(f"random network number {number}")
            raise
    assert len(tallies) == CHUNK
    assert sum(bool(tally.skipped) for tally in tallies) <= CHUNK // 3
    assert sum(tally.unsure for tally in tallies) <= 0.01 * sum(tally.checks for tally in tallies)


@pytest.mark.slow
def test_random_networks_have_everything() -> None:
    """Every layer, loss, optimizer, ... and every of their arguments is in some of them, every setting of `train` and
    every statement, and all are valid."""
    words: set[str] = set()
    texts = [case_of(number).text for number in range(MANY)]
    for text in texts:
        check_text(text)
        words.update(re.findall(r"\w+", text))
        for name, given in re.findall(r"\b(\w+)\(((?:[^()]|\([^()]*\))*)\)", text):
            words.update(f"{name}({argument}=)" for argument in re.findall(r"(\w+)=", given))
    assert sorted({*THINGS, *TrainReader.KEYS, *STATEMENTS, *COMMON} - words) == []
    named = {f"{name}({slot.name}=)" for name, thing in THINGS.items() for slot in slots(thing)}
    without_names = {f"{name}(" for name in (*registry.names(inits), *registry.names(regularizers))}
    named.remove("one_cycle(epochs=)")  # is known within fit alone; steps says the same
    assert sorted({call for call in named if not call.startswith(tuple(without_names))} - words) == []
    for rare in (r"train_only\n(.*\n)*  output", r"when .*\{ when .*\} else when|else when .*else", r"memory=v\d"):
        assert any(re.search(rare, text) for text in texts), rare


def test_a_number_is_a_network() -> None:
    assert case_of(7, 2) == case_of(7, 2) != case_of(8, 2)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(FOUND.glob("*.net")), ids=lambda path: path.stem)
def test_found(path: Path) -> None:
    """In the variation in which it failed, and in all others."""
    case = read_saved(path)
    tally = check(replace(case, variations=tuple(dict.fromkeys((*case.variations, *every_variation())))))
    assert tally.checks and not tally.skipped


def test_a_saved_case_is_read_again(tmp_path: Path) -> None:
    case = case_of(3, 2)
    path = tmp_path / "case.net"
    path.write_text(saved_text(case, "what was wrong"))
    again = read_saved(path)
    assert (again.seed, again.variations) == (case.seed, case.variations)
    assert case.text in again.text


# ----------------------------------------------------------------------------------------------- the child process


def _crash(pipe: Connection, cache: str) -> None:
    pipe.recv()
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang(pipe: Connection, cache: str) -> None:
    pipe.recv()
    time.sleep(600)


@pytest.mark.parametrize(("serve", "words"), [(_crash, "crash by SIGSEGV"), (_hang, "no answer")])
def test_a_child_that_ends_is_a_failure(serve: Callable[[Connection, str], None], words: str) -> None:
    """And the next case gets a new one."""
    judge = Judge(serve, patience=1.0 if serve is _hang else 60.0)
    for _ in range(2):
        with pytest.raises(Wrong, match=words):
            judge(Case("", 0, ()))
    judge.close()


def test_a_child_answers() -> None:
    judge = Judge()
    try:
        assert judge(replace(case_of(3), variations=(QUICK,))).checks
        with pytest.raises(Wrong, match="SpecError"):
            judge(Case("net A {}", 0, (QUICK,)))
    finally:
        judge.close()
