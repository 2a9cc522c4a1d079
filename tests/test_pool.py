"""The thread pool in the emitted C: calls from many threads at once, forks, workers that cannot be had or come late.

`tests/pool.c` is compiled behind a network's C, also under the thread sanitizer, for another CPU, without futexes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dslc.compiler import check_text, emit_network
from dslc.target import TARGETS, Target
from helpers import REPO

MAIN = Path(__file__).with_name("pool.c")
NET = """net Pool {
  input x: 500
  dense(500) -> softmax
}
"""
"""Large enough to be shared."""
PATIENT = 10**9


@pytest.mark.slow
@dataclass(frozen=True)
class Build:
    """How the program is compiled and run."""

    flags: tuple[str, ...] = ("-O2",)
    compiler: str = "gcc"
    target: Target = TARGETS["c99"]
    emulator: tuple[str, ...] = ()

    def run(self, folder: Path, *arguments: int) -> list[list[int]]:
        """The fewest and the most parts that the calls of each caller had."""
        for program in (self.compiler, *self.emulator):
            if shutil.which(program) is None:
                reason = f"not installed: {program}"
                pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)
        source, program = folder / "pool.c", folder / "pool"
        if not program.exists():
            code = emit_network(check_text(NET), self.target, threads=4).code
            source.write_text(f"{code}\n{MAIN.read_text()}")
            strict = ("-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-pthread")
            command = [self.compiler, *strict, *self.target.flags, *self.flags, str(source), "-o", str(program), "-lm"]
            done = subprocess.run(command, capture_output=True, check=False, text=True)
            assert done.returncode == 0, done.stderr
        done = subprocess.run(
            [*self.emulator, str(program), *map(str, arguments)],
            capture_output=True,
            check=False,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0 and not done.stderr, f"exit {done.returncode}\n{done.stderr}"
        return [[int(n) for n in line.split()] for line in done.stdout.splitlines()]


FUTEX = Build()
CONDITION = Build(("-O2", "-U__linux__"))
"""What systems without futexes compile."""
WATCHED = tuple(Build((*flags, "-O1", "-g1", "-fsanitize=thread")) for flags in ((), ("-U__linux__",)))
NEON = Build(("-O2", "-static"), "aarch64-linux-gnu-gcc", TARGETS["aarch64"], ("qemu-aarch64",))

builds = pytest.mark.parametrize(
    "build",
    [
        pytest.param(FUTEX, id="futex"),
        pytest.param(CONDITION, id="condition"),
        pytest.param(WATCHED[0], id="futex watched", marks=pytest.mark.sanitizers),
        pytest.param(WATCHED[1], id="condition watched", marks=pytest.mark.sanitizers),
        pytest.param(NEON, id="aarch64", marks=pytest.mark.neon),
    ],
)


@builds
def test_all_come_where_all_are_waited_for(build: Build, tmp_path: Path) -> None:
    """Calls of four threads have four parts, and every one sees what the others wrote before the barrier."""
    assert build.run(tmp_path, 1, 400, 4, PATIENT, 0) == [[4, 4]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        pytest.param(WATCHED[0], id="futex watched", marks=pytest.mark.sanitizers),
        pytest.param(NEON, id="aarch64", marks=pytest.mark.neon),
    ],
)
def test_many_more_threads_than_cores(build: Build, tmp_path: Path) -> None:
    """Threads that lose their core at any place, between any two of the pool's steps."""
    assert build.run(tmp_path, 1, 60, 24, PATIENT, 0) == [[24, 24]]
    assert all(1 <= least <= most <= 24 for least, most in build.run(tmp_path, 2, 150, 24, 20_000, 0))


@builds
@pytest.mark.parametrize("patience", [-1, 0, 20_000])
def test_many_callers_at_once(build: Build, patience: int, tmp_path: Path) -> None:
    """They find different workers or none; workers that come late are left out."""
    found = build.run(tmp_path, 3, 3000, 3, patience, 0)
    assert len(found) == 3 and all(1 <= least <= most <= 3 for least, most in found)


@pytest.mark.parametrize("build", [FUTEX, CONDITION], ids=["futex", "condition"])
def test_forked_processes_start_workers_of_their_own(build: Build, tmp_path: Path) -> None:
    """The child has all parts again, and the parent still has."""
    assert build.run(tmp_path, 1, 50, 3, PATIENT, 4) == [[3, 3]] * 5
    assert len(build.run(tmp_path, 3, 200, 3, -1, 4)) == 7


def test_goes_on_with_fewer_where_threads_cannot_be_had(tmp_path: Path) -> None:
    build = Build(("-O2", "-Dpthread_create=no_thread", "-DNO_THREADS=no_thread"))
    assert build.run(tmp_path, 1, 100, 4, PATIENT, 0) == [[1, 1]]


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, text=True, timeout=120, cwd=REPO
    )
    assert done.returncode == 0 and not done.stderr, f"exit {done.returncode}\n{done.stderr}"
    return done.stdout


MODELS = """
import os, threading, time, numpy as np, dslc
from dslc import cores
cores.available_cores = lambda: 8
x = np.random.default_rng(0).standard_normal((64, 28, 28, 1), dtype=np.float32)
def model(threads):
    return dslc.load("specs/lenet5.net", threads=threads)
def other(threads):
    return dslc.loads("net Other {\\n  input x: 500\\n  dense(500) -> softmax\\n}\\n", threads=threads)
rows = np.random.default_rng(1).standard_normal((50, 500), dtype=np.float32)
"""


@pytest.mark.slow
def test_one_pool_for_all_networks_and_threads_of_a_process() -> None:
    """Models of two networks, used by many Python threads at once, have the right numbers, and together no more workers
    than one of them."""
    found = python(
        MODELS
        + """
models, another = [model(3) for _ in range(3)], other(3)
wanted, other_wanted = model(1).predict(x), other(1).predict(rows)
right = []
def use(m):
    right.append(all(np.array_equal(m.predict(x), wanted) for _ in range(100)))
def use_other():
    right.append(all(np.array_equal(another.predict(rows), other_wanted) for _ in range(100)))
users = [threading.Thread(target=use, args=(m,)) for m in models] + [threading.Thread(target=use_other)]
before = len(os.listdir("/proc/self/task"))
for t in users: t.start()
for t in users: t.join()
time.sleep(0.5)  # joined threads of Python have still a little to do
print(right, len(os.listdir("/proc/self/task")) - before)
"""
    )
    assert found.split() == ["[True,", "True,", "True,", "True]", "2"]


def test_a_forked_process_uses_another_network() -> None:
    """The parent's threads have run one network, the child runs another, and so does its child."""
    found = python(
        MODELS
        + """
first, second = model(2), other(2)
first.predict(x)
def fork(then):
    child = os.fork()
    if child == 0:
        then()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
fork(lambda: (second.predict(rows), fork(lambda: (first.predict(x), second.predict(rows)))))
first.predict(x)
"""
    )
    assert found.split() == ["0", "0"]


def test_exits_while_workers_sleep_and_while_they_look() -> None:
    """At once after a call, and when all have gone to sleep."""
    for pause in (0, 0.1):
        assert python(f"{MODELS}\nmodel(3).predict(x); time.sleep({pause}); print('end')") == "end\n"


def test_workers_leave_signals_to_the_program() -> None:
    found = python(
        MODELS
        + """
import signal
model(3).predict(x)
mine = os.getpid()
masks = []
for task in os.listdir("/proc/self/task"):
    if int(task) != mine:
        with open(f"/proc/self/task/{task}/status") as status:
            masks += [line.split()[1] for line in status if line.startswith("SigBlk")]
print(sum(bool(int(mask, 16) & 1 << signal.SIGINT - 1) for mask in masks))
"""
    )
    assert int(found) == 2
