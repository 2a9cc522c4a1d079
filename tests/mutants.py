"""The changes that tests/mutations.py tries: a sign that is flipped, a term or barrier that is dropped, a bound that is
moved, an order of memory that is weaker."""

from __future__ import annotations

import io
import random
import re
import tokenize
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from helpers import REPO

CHANGES = {
    "+": "-", "-": "+", "*": "/", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+=": "-=", "True": "False",
    "and": "or", "or": "and", "min": "max", "max": "min",
}  # fmt: skip
ORDERS = r"__ATOMIC_(?:ACQ_REL|ACQUIRE|SEQ_CST)"
Spot = tuple[int, int, str]
PARTS: dict[str, tuple[str, ...]] = {
    "kernels": ("templates/kernels/*.j2",),
    "layers": ("dslc/layers/*.py",),
    "passes": ("dslc/passes/*.py",),
    "around": tuple(f"templates/{name}.j2" for name in ("pool.c", "tools.c", "network.c", "calls", "slices")),
}
"""Files by what they are; `around` is the C around the kernels."""
SHARES = {"kernels": 0.55, "layers": 0.2, "passes": 0.13, "around": 0.12}


@dataclass(frozen=True)
class Mutant:
    """A file with one change."""

    path: str
    line: int
    before: str
    after: str
    text: str


def sample(count: int, seed: int, only: str = "") -> list[Mutant]:
    """So many, always the same for a seed: from every part its share, and from every file of it one before a second."""
    draw, found = random.Random(seed), []
    for part, patterns in PARTS.items():
        files = [f for pattern in patterns for f in sorted(REPO.glob(pattern)) if only in str(f)]
        of_file = {f: some for f in files if (some := mutants(f))}
        for some in of_file.values():
            draw.shuffle(some)
        wanted = min(max(1, round(SHARES[part] * count)), sum(map(len, of_file.values())))
        turns = cycle(draw.sample(list(of_file), len(of_file)))
        while wanted:
            if some := of_file[next(turns)]:
                found.append(some.pop())
                wanted -= 1
    draw.shuffle(found)
    return found


def mutants(path: Path) -> list[Mutant]:
    """All changes of a file that are tried."""
    text = path.read_text()
    name, found = str(path.relative_to(REPO)), []
    for begin, end, new in _of_python(text) if path.suffix == ".py" else _of_template(text):
        changed = text[:begin] + new + text[end:]
        line = text.count("\n", 0, begin)
        if "Example(" in text.splitlines()[line] or text.splitlines()[line].startswith("@"):
            continue  # another example is no bug, nor is a class that is not frozen
        pair = text.splitlines()[line].strip(), changed.splitlines()[line].strip()
        found.append(Mutant(name, line + 1, *pair, changed))
    return found


def _of_python(text: str) -> list[Spot]:
    starts = [0]
    for row in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        spaced = token.string not in "+-*" or text[end : end + 1] == " "  # no signs, no *arguments
        if token.type in (tokenize.OP, tokenize.NAME) and token.string in CHANGES and spaced:
            found.append((begin, end, CHANGES[token.string]))
        if token.type == tokenize.NUMBER and token.string.isdecimal():
            found.append((begin, end, str(int(token.string) + 1)))
    return found


def _of_template(text: str) -> list[Spot]:
    """In the C, not in its comments, nor in what belongs to jinja2."""
    hidden = [m.span() for m in re.finditer(r"/\*.*?\*/|\{[%#].*?[%#]\}|\{\{.*?\}\}", text, re.DOTALL)]
    found = [(m.start(1), m.end(1), CHANGES[m[1]]) for m in re.finditer(r" (\+=|[<>]=?|[-+*]) ", text)]
    found += [(m.start(), m.end(), "") for m in re.finditer(r" \+ [\w.]+(\[\w+\])?(?=;)", text)]
    found += [(m.start(), m.end(), "0 <") for m in re.finditer(r"\w+ < (?=n\b)", text)]
    found += [(m.start(), m.end(), "(void)barrier;") for m in re.finditer(r"wait_at_barrier\(barrier, parts\);", text)]
    found += [(m.start(), m.end(), "__ATOMIC_RELAXED") for m in re.finditer(ORDERS, text)]
    return [spot for spot in found if not any(a <= spot[0] < b for a, b in hidden)]
