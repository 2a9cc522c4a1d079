"""Leaves out the tools that nothing calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

DEFINITIONS = re.compile(
    r"""^(?:INLINE|static)\ [^;={]*?\b(\w+)\(      # a function
      | ^typedef\ \w+\ (\w+)\(                     # its type
      | ^typedef\ (?!struct)[^;({]*?\b(\w+)(?:\ __attribute__.*)?;
      | ^\}\ (?:__attribute__\(\(.*?\)\)\)\ )?(\w+); # a struct
      | ^\#define\ (\w+)
      | ^PRODUCT(?:_BF16)?\((\w+),               # a function that this macro defines
      | ^static\ (?:const\ )?\w+\ (\w+)\ =""",
    re.MULTILINE | re.VERBOSE,
)
"""What an item defines; names of local macros count too."""


def needed(items: str, code: str) -> str:
    """Those items of C, with the comments above them, that `code` uses, directly or through others."""
    kept: set[str] = set()
    rest, used = dict.fromkeys(_items(items)), _words(code)
    while found := [item for item in rest if _defined(item) & used]:
        for item in found:
            del rest[item]
            kept.add(item)
            used |= _words(item)
    return _joined([item for item in _items(items) if item in kept]) + "\n"


def _joined(items: Sequence[str]) -> str:
    """Items with empty lines between them, but for uses of one macro in a row."""
    lines: list[str] = []
    for item in items:
        if lines and not (item.startswith("PRODUCT") and lines[-1].startswith("PRODUCT")):
            lines.append("")
        lines.append(item)
    return "\n".join(lines)


def _items(code: str) -> Iterator[str]:
    """What stands between empty lines, outside of braces and of `#if`."""
    lines: list[str] = []
    braces = conditions = 0
    for line in [*code.splitlines(), ""]:
        braces += line.count("{") - line.count("}")
        conditions += line.startswith("#if") - line.startswith("#endif")
        if line or braces or conditions:
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []


def _defined(item: str) -> set[str]:
    names = {name for found in DEFINITIONS.findall(item) for name in found if name}
    listed = re.findall(r"^typedef \w+ ([\w, ]+);", item, re.MULTILINE)
    constants = [re.sub(r" = [^,]*", "", found) for found in re.findall(r"^enum \{ (.*) \};", item, re.MULTILINE)]
    return names | {name for names in (*listed, *constants) for name in names.split(", ")}


def _words(code: str) -> set[str]:
    return set(re.findall(r"\b[A-Za-z_]\w*\b", re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)))
