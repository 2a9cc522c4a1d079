"""Fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from dslc import cores
from dslc.codegen import build
from dslc.passes import memory
from dslc.passes.memory import aligned_size
from dslc.plan import ALIGNMENT, Buffer, Kernel
from dslc.planning import planner as planning
from helpers import all_threads_come, plans_made_anew

os.environ[cores.VARIABLE] = "1"
"""Plans are the same on every machine, and the cores are for several tests at once (pytest -n): where threads are the
subject a test says how many. tests/test_cores.py tests what is done without."""


OPTIMIZING = {"optimized": None, "trains": "-O1 -fno-lto"}
"""How marks have networks compiled; None is as for users."""
IN_A_MOMENT = "-O0 -fno-lto"
"""For networks that run for a moment: most of the time of their tests is that of the compiler."""
LONG = ("test_docs.py", "test_reproducible.py")
"""Files with tests of minutes come first: a core that began one of these last would keep the others waiting."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """--quick is what `make test` runs; a test is run by one of both."""
    parser.addoption("--quick", action="store_true", help="one case of every test, and nothing marked slow")
    parser.addoption("--rest", action="store_true", help="what --quick leaves out")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Networks are compiled as the test is marked, by commands too."""
    marked = [flags for mark, flags in OPTIMIZING.items() if item.get_closest_marker(mark)]
    flags = marked[0] if marked else IN_A_MOMENT
    if flags is None:
        os.environ.pop(build.EXTRA_FLAGS, None)
    else:
        os.environ[build.EXTRA_FLAGS] = flags


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the tests into order, and leaves out what the options leave out."""
    items.sort(key=lambda item: item.path.name not in LONG)
    quick, rest = config.getoption("--quick"), config.getoption("--rest")
    if not quick and not rest:
        return
    first = first_cases(items)
    kept = [item for item in items if (item in first) == quick]
    config.hook.pytest_deselected(items=[item for item in items if (item in first) != quick])
    items[:] = kept


def first_cases(items: list[pytest.Item]) -> set[pytest.Item]:
    """Of every test that is not marked slow, its first case."""
    first: dict[str, pytest.Item] = {}
    for item in items:
        if item.get_closest_marker("slow") is None:
            first.setdefault(item.nodeid.partition("[")[0], item)
    return set(first.values())


@pytest.fixture(autouse=True)
def planned_anew(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests plant faults and change what plans are made of, which the names of cached plans do not know."""
    with nullcontext() if request.node.get_closest_marker("cached_plans") else plans_made_anew():
        yield


@pytest.fixture(autouse=True)
def threads_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a comparison of numbers of threads might be one of a thread with itself."""
    all_threads_come(monkeypatch.setattr)


@pytest.fixture
def fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans in which no two tensors share memory, two cache lines lie free between any two, and threads share all that
    they can, however little it is."""
    monkeypatch.setattr(planning, "MIN_PARALLEL_NS", 1e-9)
    for module in (memory, planning):
        monkeypatch.setattr(
            module, "aligned_size", lambda n, itemsize: aligned_size(n, itemsize) + 2 * ALIGNMENT // itemsize
        )

    def apart(rows: Sequence[Sequence[Kernel]], *arguments: Any) -> dict[str, Buffer]:
        everything = {t for row in rows for k in row for t in (*k.operation.reads, *k.operation.writes)}
        return memory.place(rows, *arguments[:4], everything)

    monkeypatch.setattr(planning, "place", apart)


@pytest.fixture
def fences_in_float32(request: pytest.FixtureRequest) -> None:
    """`fences` where the test is one of float32; networks in float64 are planned as for users."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and callspec.params.get("dtype") == "float32":
        request.getfixturevalue("fences")


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run, whatever the order of the tests."""
    return np.random.default_rng(20260101)
