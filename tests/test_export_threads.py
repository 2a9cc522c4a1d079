"""`dslc export --threads`: the same bits on any number of threads, without a race and without a warning."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.export.export import export_c
from dslc.export.network import Trained, Wishes
from dslc.language.diagnostics import CallError
from dslc.target import TARGETS
from exporting import HERE, Export, export, run_compiler
from helpers import FORWARD, assert_close
from test_export import CASES, DIGITS, examples, reference, symbols_of

MAIN = Path(__file__).with_name("exported_threads.c")
BATCH = 19
SANITIZERS = {"": (), "thread": ("-fsanitize=thread",), "address": ("-fsanitize=address,undefined",)}


def together(exported: Export, x: np.ndarray, *flags: str) -> np.ndarray:
    """The outputs of a full mini-batch, which the program found to be the same on any number of threads."""
    given, made = exported.folder / "given", exported.folder / "made"
    given.write_bytes(x.tobytes())
    pool = {"pthread": ("-DPOOL", "-pthread"), "openmp": ("-fopenmp",)}[exported.wishes.threads]
    exported.run(exported.program(MAIN, HERE, "-std=gnu11", "-O1", "-g1", *pool, *flags), HERE, given, made)
    (head,) = exported.trained.network.heads
    return np.fromfile(made, exported.real).reshape(len(x), *head.value.shape)


@pytest.mark.parametrize(
    ("threads", "sanitizer"), [("pthread", "thread"), ("pthread", "address"), ("openmp", ""), ("openmp", "address")]
)
def test_the_same_bits(threads: str, sanitizer: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Of a network whose larger kernels are shared, against NumPy; gcc's OpenMP hides its barriers from the thread
    sanitizer."""
    wishes = Wishes(TARGETS["generic"], BATCH, embed=True, threads=threads)
    exported = export(CASES["branches"], wishes, tmp_path, rng)
    code = exported.source.read_text()
    assert len(re.findall(r"^    \w+\(.*, part, parts\);", code, re.MULTILINE)) > 3 and "if (part == 0)" in code
    x = examples(exported, BATCH, rng)
    made = together(exported, x, *SANITIZERS[sanitizer])
    assert_close(made, reference(exported.trained, x), FORWARD["float32"], threads)


def test_nothing_global(tmp_path: Path, rng: np.random.Generator) -> None:
    """No variable that can change; clang and C++ have no warning either."""
    exported = export(DIGITS, Wishes(TARGETS["generic"], BATCH, small=True, threads="pthread"), tmp_path, rng)
    symbols = symbols_of(exported.compile(tmp_path / "object.o", "-c"))
    assert not [name for kind, name in symbols if kind in "dDbBcC"]
    wanted = {name for kind, name in symbols if kind == "U" and not name.startswith("pthread_")}
    assert wanted <= {"memcpy", "memset", "memcmp", "sched_yield", "_GLOBAL_OFFSET_TABLE_"}, wanted
    exported.compile(tmp_path / "object.o", "-c", compiler="clang")
    plus = ("-std=c++20", "-Wall", "-Wextra", "-Werror", "-c", str(exported.source), "-o", str(tmp_path / "plus.o"))
    run_compiler("g++", *plus)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (Wishes(TARGETS["cortex-m7"], threads="pthread"), "cortex-m7 has one thread"),
        (Wishes(TARGETS["wasm"], threads="openmp"), "wasm has one thread"),
        (Wishes(TARGETS["generic"], threads="pthread", training=True), "for prediction"),
    ],
)
def test_where_there_are_no_threads(wishes: Wishes, said: str) -> None:
    with pytest.raises(CallError, match=said):
        export_c(Trained(check_text(DIGITS), {}), wishes)
