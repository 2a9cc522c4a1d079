"""Searches for networks whose numbers are wrong, until the time is up: `make fuzz`, or the call below.

    python tests/fuzz.py --minutes 60 --seed 1000000 --log fuzz.log

What fails is shrunk and left in tests/fuzz_found, where tests/test_fuzz.py tries it from then on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fuzzing.run import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1_000_000, help="the number of the first network")
    parser.add_argument("--log", type=Path, help="a file for what is printed; its counts are carried on")
    given = parser.parse_args()
    return min(run(given.minutes, given.seed, given.log), 1)


if __name__ == "__main__":
    sys.exit(main())
