"""C as text: comments made harmless or left out, and the finish that makes it read as if written by hand."""

from __future__ import annotations

import re
import textwrap


def without_comments(code: str) -> str:
    """The code without comments."""
    return re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)


def in_comment(text: str) -> str:
    """Text of a spec made harmless inside a comment of C: ASCII, and no comment ends or begins in it."""
    return (
        "".join(c if c.isascii() and c.isprintable() else "?" for c in text).replace("*/", "* /").replace("/*", "/ *")
    )


def unshared(code: str) -> str:
    """C of a kernel that one thread runs alone: its share is everything, and it waits for nobody."""
    code = re.sub(r"^ *wait_at_barrier\(barrier, parts\);\n", "", code, flags=re.MULTILINE)
    return re.sub(r"= share_of\((.*), part, parts\);", r"= { 0, \1 };", code)


def tidy(code: str) -> str:
    """No factors of one, no trailing blanks, no more than one empty line in a row, one at the end."""
    lines = (line.rstrip() for line in without_ones(code).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def without_ones(code: str) -> str:
    """C as one would write it where a tensor has one channel, or a window a stride of one: `n` for `n * 1`.

    A factor in front is left out only where an operand begins: what it follows must not be a division.
    """
    code = re.sub(r"(?<=[\w)\]]) [*/] 1(?![\w.])", "", code)
    return re.sub(r"((?:[(\[]|[(\w)\]] [+=-] |, ))1 \* ", r"\1", code)


def wrapped(text: str, width: int = 120) -> list[str]:
    """The text in lines that end between words."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def without_brackets(code: str) -> str:
    """The code without brackets around products that mean the same without: where no operator that binds as strongly
    stands before them."""
    needless = re.compile(r"(?:(?<=[(\[])|(?<=[=,+?:<>] ))[(](\w+(?: [*] \w+)+)[)]")
    while (shorter := needless.sub(r"\1", code)) != code:
        code = shorter
    return re.sub(r"= \((\([^()]*\) / \w+)\);", r"= \1;", code)
