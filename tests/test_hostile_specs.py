"""A megabyte of anything is accepted or refused, in little time and memory, and never with a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hostile_specs import broken, judged

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


SPECS = {
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
}
MEASURED = """
import sys, time
from dslc.compiler import check_text
from dslc.language.diagnostics import SpecError
check_text("net A {\\n  input x: 4\\n  dense(2) -> softmax\\n}\\n")
text, started = sys.stdin.read(), time.process_time()
try:
    check_text(text)
    shown = 0
except SpecError as error:
    shown = str(error).count("error[")
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss is the parent's too
print(time.process_time() - started, int(peak.split()[1]) >> 10, shown)
"""


@pytest.mark.parametrize("name", SPECS)
def test_a_megabyte_is_judged_at_once(name: str) -> None:
    """In a second of computing (two here, for slow machines) and 500 MB, with at most 20 errors."""
    text = SPECS[name]
    assert len(text) <= MILLION
    done = subprocess.run([sys.executable, "-c", MEASURED], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seconds, megabytes, shown = map(float, done.stdout.split())
    assert seconds < 2 and megabytes < 500 and shown <= 20


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_broken_specs_are_read_or_refused(first: int) -> None:
    """`python tests/hostile_specs.py` goes on for as long as one likes."""
    for number in range(first, first + 100):
        assert judged(broken(number)) < 2, number
