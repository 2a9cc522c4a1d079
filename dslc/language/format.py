"""One way to write a spec: two spaces a level, one around `->`, the settings of `train` in a column.

Words are neither added nor taken away, and comments, line breaks and groups between blank lines stay where they are:
what changes is the space between words, and a brace over several lines gets lines of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dslc.language.parse import parse
from dslc.language.source import Source

INDENT = "  "
TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\f]+) | (?P<newline>\n) | (?P<comment>\#[^\n]*)
    | "[^"\n]*" | -> | // | <= | >= | == | !=
    | [0-9]+(?:x[0-9]+)+(?![A-Za-z_0-9])
    | (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+|[kMG]B)?(?![A-Za-z_0-9])
    | \w+ | .""",
    re.VERBOSE,
)
OPERATORS = frozenset(("+", "-", "*", "/", "//", "<=", ">=", "<", ">", "==", "!=", "=", "->"))
BEFORE_A_VALUE = OPERATORS | {"^"} | {"(", ",", ":", "{", "", "and", "or", "not", "when", "repeat"}
"""Behind one of these, or first, a minus is a sign and a bracket holds a value instead of arguments."""


@dataclass(frozen=True)
class Line:
    """A line of the result: its words and the comment behind them. `depth` is its indentation, `key` the words before
    its column, which settings of `train` have; `blank`: an empty line comes before it."""

    words: tuple[str, ...]
    comment: str
    blank: bool
    depth: int = 0
    key: str = ""

    @property
    def continues(self) -> bool:
        """It goes on with the chain of the line before."""
        return self.words[:1] == ("->",)


def format_source(source: Source) -> str:
    """The spec as the formatter writes it. Formatting that once more changes nothing.

    Raises:
        SpecError: the text does not parse.
    """
    parse(source)
    return "".join(f"{line}\n" for line in _printed(_continued(_nested(_lines(source.text)))))


# ------------------------------------------------------------------------------------------------ text to lines


def _lines(text: str) -> Iterator[Line]:
    """The lines that hold something."""
    blank = False
    for row in _rows(text):
        if row:
            comment = row[-1] if row[-1].startswith("#") else ""
            yield Line(tuple(row[: len(row) - bool(comment)]), comment, blank)
        blank = not row


def _rows(text: str) -> Iterator[list[str]]:
    """The tokens of each line; a brace whose partner is on another line begins or ends one."""
    tokens = [m[0].rstrip(" \t\r\f") for m in TOKEN.finditer(text) if m.lastgroup != "blank"]
    spread = _spread_braces(tokens)
    row: list[str] = []
    for place, token in enumerate(tokens):
        if token == "\n" or (token == "}" and place in spread and row):
            yield row
            row = []
        if token != "\n":
            row.append(token)
        if token == "{" and place in spread and not tokens[place + 1].startswith(("#", "\n")):
            yield row
            row = []
    yield row


def _spread_braces(tokens: Sequence[str]) -> set[int]:
    """The places of the braces whose partner is on another line."""
    spread: set[int] = set()
    open_at: list[int] = []
    for place, token in enumerate(tokens):
        if token == "{":
            open_at.append(place)
        elif token == "}":
            opened = open_at.pop()
            if "\n" in tokens[opened:place]:
                spread |= {opened, place}
    return spread


def _nested(lines: Iterator[Line]) -> Iterator[Line]:
    """The lines with their depth and, in `train`, their key. No empty line begins or ends the file or a brace."""
    owners: list[str] = []
    begins = True
    for line in lines:
        if line.words[:1] == ("}",):
            owners.pop()
            begins = True
        key = _key(line) if owners == ["train"] else 0
        yield replace(
            line,
            depth=len(owners),
            blank=line.blank and not begins,
            key=_spaced(line.words[:key]),
            words=line.words[key:],
        )
        begins = line.words[-1:] == ("{",)
        if begins:
            owners.append(line.words[0])


def _key(line: Line) -> int:
    """How many words of a setting stand before its value: `batch`, or `loss digit:`."""
    if line.continues or len(line.words) < 2:
        return 0
    return 3 if line.words[2:3] == (":",) else 1


def _continued(lines: Iterator[Line]) -> list[Line]:
    """A chain that goes on is indented, with the comments inside of it, and holds no empty lines."""
    found = list(lines)
    inside = False
    for place in reversed(range(len(found))):
        line = found[place]
        inside = line.continues or (inside and not line.words)
        if inside:
            found[place] = replace(line, depth=line.depth + 1, blank=False)
    return found


# ------------------------------------------------------------------------------------------------ lines to text


def _printed(lines: Sequence[Line]) -> Iterator[str]:
    """The text of each line, with its column and its comment."""
    column = max((len(line.key) for line in lines), default=0)
    texts = [INDENT * line.depth + _text(line, column) for line in lines]
    for line, text, room in zip(lines, texts, _comment_columns(lines, texts), strict=True):
        if line.blank:
            yield ""
        yield f"{text.ljust(room)}{line.comment}" if line.comment else text


def _text(line: Line, column: int) -> str:
    if line.key:
        return f"{line.key.ljust(column)} {_spaced(line.words)}"
    return _spaced(line.words)


def _comment_columns(lines: Sequence[Line], texts: Sequence[str]) -> list[int]:
    """Where the comment of each line starts: those behind the words of neighbouring lines stand below each other."""
    columns = [len(text) for text in texts]
    start = 0
    for place in range(len(lines) + 1):
        ended = place == len(lines) or not (lines[place].comment and texts[place].strip())
        if ended or lines[place].blank:
            columns[start:place] = [max(columns[start:place], default=0) + 2] * (place - start)
            start = place
        if ended:
            start = place + 1
    return columns


def _spaced(words: Sequence[str]) -> str:
    """The words with the spaces that belong between them."""
    text, before, earlier, depth = "", "", "", 0
    for word in words:
        text += (" " if _apart(earlier, before, word, depth) else "") + word
        depth += (word == "(") - (word == ")")
        earlier, before = before, word
    return text


def _apart(earlier: str, before: str, word: str, depth: int) -> bool:
    """Whether a space belongs between two words. `earlier` is the one before both; `depth` counts the brackets around
    the first."""
    if before in ("", "(", ".", "^") or word in (")", ",", ":", ".", "^"):
        return False
    if "=" in (before, word):
        return not depth
    if before == "-" and earlier in BEFORE_A_VALUE:
        return False
    return word != "(" or before in BEFORE_A_VALUE
