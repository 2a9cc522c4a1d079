"""Specs that mean harm, or are broken: by bytes and by words. Each must be accepted, or refused with located errors.

python tests/hostile_specs.py --minutes 10 --seed 1      # what fails is printed with its number
python tests/hostile_specs.py --number 37                # that one again, with its traceback
python tests/hostile_specs.py --large                    # what a megabyte of each kind takes
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


NET = "net A {\n  input x: 4\n%s  dense(2) -> softmax\n}\n"
TRAIN = "train {\n  loss cross_entropy\n  optimizer sgd(lr=0.1)\n  batch 4\n  epochs 1\n%s}\n"
WHOLE = NET % "" + TRAIN % ""
MILLION = 1_000_000


def lines(form: str, count: int) -> str:
    """So many lines with numbers in them."""
    return "".join(form.format(number) for number in range(count))


def filled(before: str, piece: str, after: str) -> str:
    """A megabyte of the same."""
    return before + piece * ((MILLION - len(before) - len(after)) // len(piece)) + after


LARGE = {
    "repeat": NET % ("  repeat 1000 {\n" + "    dense(4) -> relu\n" * 2000 + "  }\n"),
    "repeat_repeat": NET % ("  repeat 1000 {\n" * 50 + "    dense(4)\n" + "  }\n" * 50),
    "mistakes": NET % ("  dens(4) -> relu\n" * 4999),
    "params": lines("param a{0} = {0}\n", 6600) + WHOLE,
    "params_in_a_row": "param a0 = 1\n" + "".join(f"param a{n + 1} = a{n} + 1\n" for n in range(5000)) + WHOLE,
    "inputs": NET % lines("  input x{}: 4\n", 6600),
    "names": NET % lines("  a{} = x -> relu\n", 4900),
    "blocks": lines("block b{}(n) {{\n  dense(n)\n}}\n", 3000) + WHOLE,
    "settings": NET % "" + TRAIN % ("  epochs 1\n" * 13000),
    "columns": "net A {\n  input x: table {\n" + lines("  c{}: number\n", 9000) + "  }\n  dense(2) -> softmax\n}\n",
    "categories": "net A {\n  input x: table {\n  c: category(" + "7, " * 19000 + "8)\n  }\n  dense(2) -> softmax\n}\n",
    "numbers": filled(NET % "" + TRAIN % "  schedule milestones(1", ", 1", ")\n"),
    "sum": filled("param a = 1", "+1", "\n" + WHOLE),
    "brackets": filled("param a = ", "(", "\n" + WHOLE),
    "word": filled("", "a", "\n"),
    "text": filled('net "', "a", '"\n'),
    "comment": filled("#", "a", "\n" + WHOLE),
    "arrows": filled(NET[:24], "-> ", "\n"),
    "empty_lines": filled("", "\n", WHOLE),
    "quotes": filled("", '"', ""),
    "conditions": "param p = 1\n"
    + NET % ("  when p > 0 {\n" * 90 + "    dense(4)\n" + "  } else {\n    relu\n  }\n" * 90),
    "branches": "param p = 1\n" + NET % ("  when p > 0 { dense(4) } else { relu }\n" * 2500),
    "towers": NET % lines("  t{0} = shared {{ dense(4) }}\n  x -> t{0}\n", 2300),
    "parts": "net A {\n  input x: 8000\n  " + ", ".join(f"a{n}" for n in range(8000)) + " = x -> split\n}\n",
    "merge": NET % ("  a = x -> relu\n  concat(" + "a, " * 19000 + "a)\n"),
    "chain": NET % ("  x" + " -> relu" * 9000 + "\n"),
    "values": filled("net A {\n  input x: 4\n  dense(4, init=values(", "1, ", "1))\n}\n"),
    "digits": filled("param a = ", "9", "\n" + WHOLE),
    "signs": filled("param a = ", "-", "1\n" + WHOLE),
    "powers": filled("param a = 1", "^1", "\n" + WHOLE),
    "nots": NET % ("  when " + "not " * 19000 + "on { relu }\n"),
    "size": filled("net A {\n  input x: 1", "x1", "\n}\n"),
    "formula": NET % ("  activation(" + "tanh(" * 6000 + "x" + ")" * 6000 + ")\n"),
    "wide_letters": filled("#", "\U0001f600", "\n").encode()[: MILLION - 3].decode(errors="ignore"),
    "nothings": filled("", "\0", WHOLE),
    "returns": filled("", "\r\n", WHOLE),
}
"""As much of one thing as a megabyte, or the words that a spec may have, have room for."""


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


def measure() -> None:
    """Prints for each kind of large spec the seconds of computing, the megabytes at most and the errors that are
    shown."""
    print("kind seconds MB errors")
    for name, text in LARGE.items():
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        started, shown = time.process_time(), 0
        try:
            check(parse(decode(text.encode(), f"{name}.net")))
        except SpecError as error:
            shown = str(error).count("error[")
        seconds = time.process_time() - started
        peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        assert peak is not None
        print(f"{name} {seconds:.2f} {int(peak[1]) >> 10} {shown}")


def main() -> int:
    """Goes on until the time is up; the status is 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int)
    parser.add_argument("--large", action="store_true", help="measure a megabyte of each kind, and no more")
    given = parser.parse_args()
    if given.large:
        measure()
        return 0
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
