"""How long small networks take to compile and deep ones to be planned: CPU seconds, the least of several runs.

    python benchmarks/compile_times.py             # all of it; the fewer others work, the better
    python benchmarks/compile_times.py --compile 1 --plan 1

`compile` is all of `dslc compile SPEC` with an empty cache but for Python's start: check, plan, print, and the C
compiler with its linker. The time that passes is shorter where several cores are free. `dslc check` is a whole process.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dslc.codegen.build import build
from dslc.codegen.emit import emit
from dslc.compiler import check_text, plan_network

SPECS = Path(__file__).parent.parent / "specs"
COMPILED = ("logistic_regression", "shallow", "mlp", "mlp_batchnorm", "lenet5", "residual")
CHECKED = ("zoo/densenet121", "zoo/inception_v3")
SMALL_MLP = "784-128-10"
TRAIN = "train {\n  loss cross_entropy\n  optimizer adam(0.001)\n  batch 32\n}\n"


def chain(size: str, layer: str, layers: int, end: str = "") -> str:
    """A network of so many equal layers."""
    body = f"  input x: {size}\n" + f"  {layer} -> relu\n" * layers + end + "  dense(10) -> softmax\n"
    return f"net Deep {{\n{body}}}\n{TRAIN}"


DEEP = {
    "1,000 dense layers": chain("32", "dense(32)", 1000),
    "400 convolutions": chain("16x16x8", "conv(8, 3x3, pad=same)", 400, "  flatten\n"),
}


def used() -> float:
    """CPU seconds of this process and of those that it waited for."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def least(work: Callable[[], object], runs: int) -> tuple[float, float]:
    """CPU seconds and seconds of the fastest run, each."""
    found = []
    for _ in range(runs):
        cpu, clock = used(), time.perf_counter()
        work()
        found.append((used() - cpu, time.perf_counter() - clock))
    return min(cpu for cpu, _ in found), min(clock for _, clock in found)


def compiled(text: str) -> int:
    """Compiles a network anew, for one thread; how many lines of C it has."""
    plan = plan_network(check_text(text))
    source = emit(plan)
    with tempfile.TemporaryDirectory() as folder:
        build(source, plan.target, Path(folder))
    return source.code.count("\n")


def planned(text: str) -> None:
    """Checks and plans a network for two threads."""
    plan_network(check_text(text), threads=2)


def checked(path: Path) -> None:
    """`dslc check` in a process of its own."""
    subprocess.run([sys.executable, "-m", "dslc", "check", str(path)], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", type=int, default=5, help="runs of each network that is compiled")
    parser.add_argument("--plan", type=int, default=5, help="runs of each network that is planned")
    given = parser.parse_args()
    print("| compile | lines of C | CPU s | s |\n| --- | --- | --- | --- |")
    texts = {SMALL_MLP: chain("784", "dense(128)", 1), **{n: (SPECS / f"{n}.net").read_text() for n in COMPILED}}
    compiled(texts[SMALL_MLP])  # templates are compiled when they are first used
    for name, text in texts.items():
        lines = compiled(text)
        print(
            "| {} | {:,} | {:.2f} | {:.2f} |".format(name, lines, *least(partial(compiled, text), given.compile)),
            flush=True,
        )
    print("\n| check and plan | CPU s | s |\n| --- | --- | --- |")
    for name, text in DEEP.items():
        times = least(partial(planned, text), given.plan)
        print("| {} | {:.2f} | {:.2f} |".format(name, *times), flush=True)
    for name in CHECKED:
        times = least(partial(checked, SPECS / f"{name}.net"), given.plan)
        print("| `dslc check {}` | {:.2f} | {:.2f} |".format(name, *times), flush=True)


if __name__ == "__main__":
    main()
