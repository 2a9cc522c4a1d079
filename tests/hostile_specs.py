"""Specs that mean harm, or are broken: by bytes and by words. Each must be accepted, or refused with located errors.

python tests/hostile_specs.py --minutes 10 --seed 1      # what fails is printed with its number
python tests/hostile_specs.py --number 37                # that one again, with its traceback
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from functools import cache
from pathlib import Path

from dslc.compiler import check
from dslc.language.diagnostics import SpecError
from dslc.language.parse import decode, parse

ROOT = Path(__file__).parent.parent
WORD = re.compile(r'"[^"\n]*"|[\w.]+|->|\n|[^\s\w]')
ODD = ("0", "-1", "1e308", "9" * 18, "0x0", "1x1x1x1x1", "in", "net", "train", "repeat", "(", ")", "{", "}", "->", ",",
       "=", ":", "\n", '"', '"a"', "#", "\0", "\u202e", "dense", "conv", "x", "repeat 99999 {", "//")  # fmt: skip


@cache
def wholes() -> list[str]:
    """The specs that ship, and those of the tests of errors."""
    paths = [*ROOT.glob("specs/*.net"), *ROOT.glob("tests/errors/*.net")]
    return [path.read_text("utf-8", "replace") for path in sorted(paths)]


def broken(number: int) -> bytes:
    """The spec of this number, always the same: one or two whole ones, changed in a few places."""
    draw = random.Random(number)
    text = draw.choice(wholes())
    if draw.random() < 0.4:
        data = bytearray(text.encode())
        for _ in range(draw.randint(1, 8)):
            _change_bytes(data, draw)
        return bytes(data)
    words = WORD.findall(text)
    for _ in range(draw.randint(1, 6)):
        _change_words(words, WORD.findall(draw.choice(wholes())), draw)
    return " ".join(words).encode("utf-8", "replace")


def _change_bytes(data: bytearray, draw: random.Random) -> None:
    place = draw.randrange(len(data) + 1)
    match draw.randrange(4):
        case 0:
            data[place:place] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 4)))
        case 1:
            del data[place : place + draw.randint(1, 30)]
        case 2:
            data[place:place] = data[place : place + 50] * draw.randint(1, 20)
        case _:
            data[place : place + 1] = bytes([draw.randrange(256)])


def _change_words(words: list[str], others: list[str], draw: random.Random) -> None:
    place, there = draw.randrange(len(words) + 1), draw.randrange(max(1, len(others)))
    match draw.randrange(5):
        case 0:
            words.insert(place, draw.choice(ODD))
        case 1:
            del words[place : place + draw.randint(1, 5)]
        case 2:
            words[place : place + 1] = [draw.choice(ODD)]
        case 3:
            words[place:place] = others[there : there + draw.randint(1, 20)]
        case _:
            words[place:place] = words[place : place + draw.randint(1, 10)] * draw.randint(1, 50)


def judged(data: bytes) -> float:
    """Checks a spec; the seconds of computing that it took. What is raised otherwise than SpecError is a fault."""
    started = time.process_time()
    try:
        check(parse(decode(data, "fuzzed.net")))
    except SpecError as error:
        assert error.diagnostics and len(str(error)) < 100_000
    return time.process_time() - started


def main() -> int:
    """Goes on until the time is up; the status is 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int)
    given = parser.parse_args()
    if given.number is not None:
        print(f"{judged(broken(given.number)):.2f} s")
        return 0
    number, failed, end = given.seed, 0, time.monotonic() + 60 * given.minutes
    while time.monotonic() < end:
        try:
            assert judged(broken(number)) < 2
        except Exception as error:  # any is a fault
            failed += 1
            print(f"--number {number}: {error!r}", flush=True)
        number += 1
    print(f"{number - given.seed} specs, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
