"""What can be written at a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dslc.checker.members import MEMBERS
from dslc.checker.program import RANGES
from dslc.checker.splits import SPLIT
from dslc.editor import vocabulary
from dslc.editor.analysis import Context, context_at
from dslc.language.format import TOKEN

SIZES = tuple(dict.fromkeys(name for names in MEMBERS.values() for name in names))
Kind = Literal["keyword", "setting", "thing", "argument", "name", "word"]


@dataclass(frozen=True)
class Proposal:
    """A word that can be written, with its call and what it does."""

    text: str
    kind: Kind
    detail: str = ""
    about: str = ""


def complete(text: str, offset: int) -> list[Proposal]:
    """The proposals at an offset, in the order in which they should be shown. The text need not parse."""
    context = context_at(text, offset)
    if _in_comment(text, offset):
        return []
    proposals = {proposal.text: proposal for proposal in reversed(list(_proposals(text, offset, context)))}
    return list(reversed(proposals.values()))


def _in_comment(text: str, offset: int) -> bool:
    start = text.rfind("\n", 0, offset) + 1
    return any(m.lastgroup == "comment" and m.start() < offset for m in TOKEN.finditer(text, start, offset))


def _proposals(text: str, offset: int, context: Context) -> Iterator[Proposal]:
    if not context.owner:
        yield from _outside(context)
    elif context.owner == "train":
        yield from _train(text, context)
    else:
        yield from _net(text, offset, context)


def _outside(context: Context) -> Iterator[Proposal]:
    if not context.line:
        yield from (Proposal(word, "keyword") for word in ("param", "block", "net", "train"))
    elif context.line[-1] == "in":
        yield from (Proposal(word, "word", f"{word}(...)") for word in RANGES)


def _train(text: str, context: Context) -> Iterator[Proposal]:
    if not context.line:
        written = set(text.split())
        for key, about in vocabulary.SETTINGS.items():
            if key == "loss" or key not in written:
                yield Proposal(key, "setting", "", about)
        return
    if context.calls:
        yield from _arguments(context.key, context)
        yield from (Proposal(name, "name", "param") for name in _defined(text, ("param",)))
    elif context.key in vocabulary.THINGS:
        yield from _things(context.key)
    yield from (Proposal(word, "word") for word in vocabulary.WORDS.get(context.key, ()))


def _net(text: str, offset: int, context: Context) -> Iterator[Proposal]:
    if context.line[-1:] == (".",):
        yield from (Proposal(word, "word", f"a size of {context.line[-2]}") for word in SIZES)
        return
    if context.calls:
        if context.line[-2:] == ("init", "="):
            yield from _things("init")
            return
        yield from _arguments("layer", context)
        merges = vocabulary.find("layer", context.calls[-1])
        takes_values = context.calls[-1] in _defined(text, ("block",)) or (merges is not None and merges.merges)
        values = _values(text, offset) if takes_values else []
        yield from (Proposal(name, "name", "value") for name in values)
        yield from (Proposal(name, "name", "param") for name in _defined(text, ("param",)))
        return
    yield from _things("layer")
    yield Proposal(SPLIT, "thing", "split(sizes ...)", "One value becomes several: a, b = split.")
    yield from (Proposal(name, "name", "block") for name in _defined(text, ("block",)))
    if not context.line or context.line[-1] == "=":
        yield from (Proposal(name, "name", "value") for name in _values(text, offset))
    if not context.line:
        yield from (Proposal(word, "keyword") for word in ("input", "output", "repeat", "when"))


def _things(kind: str) -> Iterator[Proposal]:
    for name in vocabulary.names(kind):
        thing = vocabulary.find(kind, name)
        if thing is not None:
            yield Proposal(name, "thing", vocabulary.signature(name, thing), vocabulary.about(thing))


def _arguments(kind: str, context: Context) -> Iterator[Proposal]:
    """Those of the innermost call that are not written yet."""
    thing = vocabulary.find(kind, context.calls[-1])
    if thing is None or context.line[-1] == "=":
        return
    opened = len(context.line) - 1 - context.line[::-1].index("(")
    for name in vocabulary.arguments(kind, thing):
        if name not in context.line[opened:]:
            yield Proposal(f"{name}=", "argument", vocabulary.signature(context.calls[-1], thing))


def _defined(text: str, words: tuple[str, ...]) -> list[str]:
    """The names behind these words, such as `param`, at the start of a line."""
    lines = (line.replace("(", " ").replace(":", " ").split() for line in text.splitlines())
    return [line[1] for line in lines if len(line) > 1 and line[0] in words and line[1].isidentifier()]


def _values(text: str, offset: int) -> list[str]:
    """The values that are defined above."""
    above = text[: text.rfind("\n", 0, offset) + 1]
    lines = (line.partition(" = ") for line in above.splitlines())
    assigned = [name.strip() for names, sign, _ in lines if sign for name in names.split(",")]
    return [*_defined(above, ("input", "output")), *(name for name in assigned if name.isidentifier())]
