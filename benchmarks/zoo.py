"""What the networks in specs/zoo become: a table of their parameters and multiply-adds, lines of C, and CPU seconds of
checking and compiling. `python benchmarks/zoo.py [NAME ...]`; specs/zoo/README.md holds what it printed."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from dslc.codegen.build import build
from dslc.codegen.emit import emit
from dslc.compiler import check_file, plan_network
from dslc.lowering.lower import lower
from dslc.planning.verifier import verify_plan

ZOO = Path(__file__).parent.parent / "specs" / "zoo"


def row(path: Path) -> str:
    """A network's line of the table."""
    start = time.process_time()
    network = check_file(path)
    plan = plan_network(network, threads=2)
    checked = time.process_time() - start
    verify_plan(plan)
    source = emit(plan)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        build(source, plan.target, Path(folder))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    compiled = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    trained = sum(p.elements for p in network.parameters if p.trained)
    work = sum(op.multiply_adds for op in lower(network).predict.operations)
    lines = source.code.count("\n")
    return f"| `{path.stem}` | {trained:,} | {work / 1e6:,.0f} | {lines:,} | {checked:.1f} | {compiled:.1f} |"


def main() -> None:
    """Prints the table, all networks unless some are named."""
    print("| network | parameters | million multiply-adds | lines of C | check, s | compile, s |")
    print("| --- | --- | --- | --- | --- | --- |")
    paths = sorted(ZOO.glob("*.net"))
    for path in [path for path in paths if not sys.argv[1:] or path.stem in sys.argv[1:]]:
        print(row(path), flush=True)


if __name__ == "__main__":
    main()
