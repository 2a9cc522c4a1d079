"""What gcc made of C before it optimizes: numbers, the operation that computes each, and what uses it."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dslc.codegen.build import FLAGS

EARLY = ("-O1", "-flto", "-fno-fat-lto-objects", "-w", "-c")
"""With link-time optimization gcc stops early: functions are inlined, loops are still loops."""
NAME = r"[\w.]*_\d+(?:\(D\))?"
LOCATION = re.compile(r"\[([^\]\s]*):(\d+):\d+(?: discrim \d+)?\] ?")
DECLARATION = re.compile(r"  (?:const )?(?:real|float|double) ([\w.]+);")
BLOCK = re.compile(r"\s*<bb (\d+)>")
ASSIGNMENT = re.compile(rf"({NAME}) = (.*);")
BINARY = re.compile(r"([^ ]+) ([*+-]) ([^ ]+)")
NEGATION = re.compile(rf"-({NAME})")


@dataclass(frozen=True)
class Value:
    """A number that a statement of the C in `line` computes; `operator`: one of `*+-`, `neg`, or empty for others."""

    name: str
    operator: str
    operands: tuple[str, ...]
    block: int
    line: int


@dataclass
class Function:
    """The floating-point values of a function; `users` are what reads each, None where that is another statement."""

    name: str
    values: dict[str, Value] = field(default_factory=dict)
    users: defaultdict[str, list[Value | None]] = field(default_factory=lambda: defaultdict(list))

    def is_fusable(self, name: str) -> bool:
        """Whether a value is a product, or one with a minus, that only sums and differences read."""
        value = self.values.get(name)
        if value is None or value.operator not in ("*", "neg"):
            return False
        is_product = value.operator == "*" or self.is_fusable(value.operands[0])
        return is_product and self._only_summed(name)

    def _only_summed(self, name: str) -> bool:
        users = self.users[name]
        return bool(users) and all(
            user is not None
            and (user.operator in ("+", "-") or (user.operator == "neg" and self._only_summed(user.name)))
            for user in users
        )

    def undecided(self) -> Iterator[Value]:
        """The sums of two products of which either may be fused, and those of a product that is computed before a
        branch, where it may or may not be fused: each may be compiled in two ways."""
        for value in self.values.values():
            if value.operator in ("+", "-"):
                products = {name for name in value.operands if self.is_fusable(name)}
                if len(products) == 2 or any(self.values[name].block != value.block for name in products):
                    yield value


def functions(code: str, flags: tuple[str, ...], folder: Path) -> list[Function]:
    """The functions of a C file, compiled for a target with these flags."""
    source, dump = folder / "source.c", folder / "source.gimple"
    source.write_text(code)
    command = ["gcc", *FLAGS, *flags, *EARLY, f"-fdump-tree-release_ssa-lineno={dump}", str(source), "-o", "/dev/null"]
    subprocess.run(command, check=True)
    _, *bodies = re.split(r"^;; Function ", dump.read_text(), flags=re.MULTILINE)
    return [_function(body) for body in bodies]


def _function(text: str) -> Function:
    found, numbers, block = Function(text.split(maxsplit=1)[0]), set(), 0
    for line in text.splitlines():
        if declared := DECLARATION.fullmatch(line):
            numbers.add(declared[1])
        elif begun := BLOCK.match(line):
            block = int(begun[1])
        elif block:
            place = LOCATION.search(line)
            _add(found, LOCATION.sub("", line).strip(), numbers, block, int(place[2]) if place else 0)
    return found


def _add(found: Function, statement: str, numbers: set[str], block: int, line: int) -> None:
    assigned = ASSIGNMENT.fullmatch(statement)
    value = None
    if assigned and (assigned[1] in numbers or re.sub(r"_\d+$", "", assigned[1]) in numbers):
        operation, operands = "", ()
        if binary := BINARY.fullmatch(assigned[2]):
            operation, operands = binary[2], (binary[1], binary[3])
        elif negated := NEGATION.fullmatch(assigned[2]):
            operation, operands = "neg", (negated[1],)
        value = found.values[assigned[1]] = Value(assigned[1], operation, operands, block, line)
    for name in set(re.findall(NAME, assigned[2] if assigned else statement)):
        found.users[name].append(value)
