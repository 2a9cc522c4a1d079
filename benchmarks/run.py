"""Measures dslc against its rivals.

python benchmarks/run.py --only lenet5 mlp --threads 2 --seconds 0.2     a quick look
python benchmarks/run.py --write                                         all of it, into docs/
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from agreement import Mismatch
from extras import measure_extras
from machine import commit, describe_machine
from measure import Unstable, measure
from networks import ENTRIES, SCALED, TARGETED, Entry
from report import DOCS, RESULTS, Row, print_row, write_report
from rivals import CONTENDERS, OURS
from timing import Absent, Pace, available_cores

RIVALS = tuple(name for name in CONTENDERS if name != OURS)
FAMILIES = {"torch": ("torch", "torch-channels-last")}


def main() -> int:
    options = parse_arguments()
    results = start_results(options)
    for name in options.only:
        try:
            measure_into(results, name, options)
        except (Mismatch, Unstable, Absent) as problem:
            print(f"{ENTRIES[name].title}: {problem}", file=sys.stderr)
            return 1
        if options.write:
            write_report(results, options.write)
    return 0


def measure_into(results: dict[str, Any], name: str, options: argparse.Namespace) -> None:
    """Puts a network's results in the place of older ones."""
    row = measure_network(ENTRIES[name], options, results["networks"].get(name, {}))
    results["networks"][name] = row
    if options.extras and name in TARGETED:
        results["extras"][name] = measure_network_extras(name, options)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(ENTRIES), default=list(ENTRIES),
                        help=f"networks: {', '.join(ENTRIES)}")  # fmt: skip
    parser.add_argument("--rivals", nargs="*", metavar="RIVAL", choices=RIVALS, default=RIVALS,
                        help=f"{', '.join(RIVALS)}; torch means both of its memory formats")  # fmt: skip
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", default=[1, 2], help="numbers of threads (1 2)")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a block of calls (0.4)")
    parser.add_argument("--rounds", type=int, default=7, help="blocks for each contender and job (7)")
    parser.add_argument("--no-extras", dest="extras", action="store_false",
                        help="no compile and load times, memory, and cost by size of batch")  # fmt: skip
    parser.add_argument("--write", nargs="?", type=Path, const=DOCS, metavar="FOLDER",
                        help="put the results into a folder (docs/), in the place of older ones")  # fmt: skip
    return completed(parser.parse_args())


def completed(options: argparse.Namespace) -> argparse.Namespace:
    """Options with families of rivals spelled out, a pace, and only numbers of threads that the machine has."""
    options.rivals = [r for given in options.rivals for r in FAMILIES.get(given, (given,))]
    options.rivals = list(dict.fromkeys(options.rivals))
    options.pace = Pace(options.seconds, options.rounds)
    cores = len(available_cores())
    if any(n > cores for n in options.threads):
        print(f"more threads than the {cores} cores are left out", file=sys.stderr)
    options.threads = [n for n in options.threads if n <= cores] or [1]
    return options


def start_results(options: argparse.Namespace) -> dict[str, Any]:
    """Results of this machine so far, for single rows to be put into; else empty ones."""
    results = {"machine": describe_machine(), "networks": {}, "extras": {}}
    if options.write and (options.write / RESULTS).exists():
        older = json.loads((options.write / RESULTS).read_text())
        if older["machine"] == results["machine"]:
            return older
        if len(options.only) < len(ENTRIES):
            sys.exit(f"{RESULTS} is from another machine or other versions: measure all networks, or remove it")
    return results


def measure_network(entry: Entry, options: argparse.Namespace, older: Row) -> dict[str, Any]:
    """A network's row: what it is, and for each number of threads what was measured, now or before."""
    net = entry.read()
    row: dict[str, Any] = {
        "precision": net.dtype,
        "work": {"train": net.training_work * net.batch, "predict": net.forward_work * net.batch},
        "threads": dict(older.get("threads", {})),
    }
    for threads in options.threads:
        found = measure(net, options.rivals, threads, options.pace)
        row["threads"][str(threads)] = {"date": date.today().isoformat(), "commit": commit(), **found}
        print_row(entry, threads, row)
    return row


def measure_network_extras(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """At the largest number of threads."""
    entry = ENTRIES[name]
    threads = max(options.threads)
    found = measure_extras(entry.read(), entry.path, options.rivals, threads, options.pace, name in SCALED)
    return found | {"threads": threads}


if __name__ == "__main__":
    sys.exit(main())
