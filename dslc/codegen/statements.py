"""The body of a phase: calls as text, and loops over tables of what differs between their rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from dslc.codegen.calls import Call
from dslc.codegen.loops import Repeat, repeats
from dslc.codegen.names import Names, Place
from dslc.codegen.text import wrapped


@dataclass(frozen=True)
class Group:
    """Calls in a row: shared by all threads, or several of the first thread alone; then perhaps a barrier, and the end
    of a lap."""

    shared: bool
    calls: tuple[str, ...]
    barrier: bool
    lap: int | None = None


@dataclass(frozen=True)
class Choice:
    """What is called in the step that updates, and what in the one that stores gradients."""

    updating: tuple[Group, ...]
    storing: tuple[Group, ...]


@dataclass(frozen=True)
class Loop:
    """Calls that are made `rounds` times, `k` being the round; `tables` hold what else differs, a table an argument."""

    comment: str
    rounds: int
    tables: tuple[tuple[str, ...], ...]
    parts: tuple[Group | Choice, ...]


Statements = tuple[Group | Choice | Loop, ...]


def statements(calls: Sequence[Call], names: Names) -> Statements:
    """What a phase consists of."""
    found: list[Group | Choice | Loop] = []
    for part in repeats([call.form for call in calls]):
        if part.rounds > 1:
            found.append(_loop(calls, part, names))
        else:
            some = calls[part.start : part.end]
            found += _parts(some, [_plain(call, names) for call in some])
    return tuple(found)


def timed_statements(calls: Sequence[Call], names: Names, first_lap: int) -> Statements:
    """The same where every call is timed: one by one, without loops."""
    return tuple(
        Group(call.shared, (_plain(call, names),), call.barrier, lap) for lap, call in enumerate(calls, first_lap)
    )


def _plain(call: Call, names: Names) -> str:
    arrays = [a if isinstance(a, str) else f"{a.memory} + {names.offset(a)}" for a in call.arrays]
    return call.text(arrays, [str(size) for size in call.sizes])


def _parts(calls: Sequence[Call], texts: Sequence[str]) -> list[Group | Choice]:
    """Groups, and choices where calls belong to one step only."""
    found: list[Group | Choice] = []
    for updates, row in groupby(zip(calls, texts, strict=True), key=lambda pair: pair[0].updates):
        groups = _groups(*map(list, zip(*row, strict=True)))
        last = found[-1] if found else None
        if updates is None:
            found += groups
        elif updates:
            found.append(Choice(groups, ()))
        elif isinstance(last, Choice):
            found[-1] = replace(last, storing=groups)
        else:
            found.append(Choice((), groups))
    return found


def _groups(calls: Sequence[Call], texts: Sequence[str]) -> tuple[Group, ...]:
    """Cut at barriers and where one thread alone follows all or the other way round."""
    groups: list[Group] = []
    row: list[str] = []
    for call, after, text in zip(calls, [*calls[1:], None], texts, strict=True):
        row.append(text)
        if call.barrier or after is None or after.shared != call.shared:
            groups.append(Group(call.shared, tuple(row), call.barrier))
            row = []
    return tuple(groups)


def _loop(calls: Sequence[Call], part: Repeat, names: Names) -> Loop:
    rounds = [calls[part.start + r * part.period : part.start + (r + 1) * part.period] for r in range(part.rounds)]
    tables = Tables(names)
    texts = [tables.call([calls_of_round[i] for calls_of_round in rounds]) for i in range(part.period)]
    first, last = rounds[0], rounds[-1][-1]
    comment = f"{first[0].job}" + (f" to {first[-1].job}" if part.period > 1 else "")
    about = f"{comment} and so on, up to {last.job}."
    barriers = [any(calls_of_round[i].barrier for calls_of_round in rounds) for i in range(part.period)]
    joined = [replace(call, barrier=barrier) for call, barrier in zip(first, barriers, strict=True)]
    return Loop(about, part.rounds, tuple(tables.lines), tuple(_parts(joined, texts)))


class Tables:
    """The tables of a loop, each by its contents; `lines` declare them."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.lines: list[tuple[str, ...]] = []
        self._known: dict[tuple[object, ...], str] = {}

    def call(self, rounds: Sequence[Call]) -> str:
        """The call of all rounds."""
        first = rounds[0]
        arrays = [self._array([call.arrays[i] for call in rounds]) for i in range(len(first.arrays))]
        sizes = [self._size([call.sizes[i] for call in rounds], name) for i, name in enumerate(first.function.sizes)]
        return first.text(arrays, sizes, False)

    def _array(self, rounds: Sequence[str | Place]) -> str:
        first = rounds[0]
        if isinstance(first, str):
            return first
        places = [place for place in rounds if isinstance(place, Place)]
        offsets = [place.buffer.offset for place in places]
        step = _progression(offsets)
        if step is None:
            return f"{first.memory} + {self._table(offsets, first.name, 'const size_t')}"
        return f"{first.memory} + {self.names.offset(first)}{_steps(step, '(size_t)k')}"

    def _size(self, values: Sequence[int | str], name: str) -> str:
        numbers = [value for value in values if isinstance(value, int)]
        step = _progression(numbers)
        if step is not None:
            return f"{numbers[0]}{_steps(step, 'k')}"
        if numbers:
            return self._table(values, name, f"const {'int' if max(numbers) < 1 << 31 else 'int64_t'}")
        return str(values[0]) if len(set(values)) == 1 else self._table(values, name, "product *const")

    def _table(self, values: Sequence[int | str], name: str, declared: str) -> str:
        key = (declared, *values)
        if key not in self._known:
            self._known[key] = self.names.unique(f"{name}_of")
            whole = f"static {declared} {self._known[key]}[] = {{ {', '.join(map(str, values))} }};"
            self.lines.append(tuple(wrapped(whole)))
        return f"{self._known[key]}[k]"


def _progression(values: Sequence[int]) -> int | None:
    """The step from one value to the next if it is always the same."""
    steps = {b - a for a, b in pairwise(values)}
    return steps.pop() if len(steps) == 1 else None


def _steps(step: int, k: str) -> str:
    return "" if step == 0 else f" {'+' if step > 0 else '-'} {k}{f' * {abs(step)}' if abs(step) != 1 else ''}"
