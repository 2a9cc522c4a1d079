"""Files of Darknet: the sections of a .cfg, and the numbers of a .weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dslc.language.diagnostics import DataError
from dslc.numerics import Array, np

MOST_TEXT = 4 << 20
"""Bytes of a .cfg; those that are published have below 20 KB."""
T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Section:
    """A layer: its `kind`, and its options as they are written. `where` is its place, file:line."""

    kind: str
    options: Mapping[str, str]
    where: str

    def whole(self, name: str, default: int) -> int:
        """An option that is a whole number. Raises DataError for another."""
        return self._number(name, default, int)

    def real(self, name: str, default: float) -> float:
        """An option that is a number."""
        return self._number(name, default, float)

    def wholes(self, name: str) -> list[int]:
        """An option that is a list of whole numbers."""
        try:
            return [int(word) for word in self.options.get(name, "").split(",")]
        except ValueError:
            raise self.wrong(f"{name} should be whole numbers with commas between them") from None

    def wrong(self, what: str) -> DataError:
        """An error in this section."""
        return DataError(f"{self.where}: [{self.kind}]: {what}")

    def _number(self, name: str, default: T, kind: Callable[[str], T]) -> T:
        try:
            return kind(self.options[name]) if name in self.options else default
        except ValueError:
            raise self.wrong(f"{name} should be a number, not {self.options[name]!r}") from None


def read_sections(path: Path) -> tuple[Section, ...]:
    """The sections in order.

    Raises:
        DataError: it cannot be read, has no section, or a line is neither `[section]`, `option=value` nor a comment.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_TEXT + 1).decode("utf-8", "replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    if len(text) > MOST_TEXT:
        raise DataError(f"{path} is too large for a .cfg of Darknet")
    found: list[tuple[str, dict[str, str], str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = re.split("[#;]", line, maxsplit=1)[0].strip()
        if head := re.fullmatch(r"\[(\w+)\]", words):
            found.append((head[1].lower(), {}, f"{path}:{number}"))
        elif words:
            name, equals, value = words.partition("=")
            if not equals or not found:
                raise DataError(
                    f"{path}:{number}: a .cfg of Darknet has [sections] and option=value, not {words[:60]!r}"
                )
            found[-1][1][name.strip()] = value.strip()
    if not found:
        raise DataError(f"{path} has no [section]: it is no .cfg of Darknet")
    return tuple(Section(*parts) for parts in found)


class Numbers:
    """The numbers of a .weights, one array after the other. `transposed`: matrices are stored the other way."""

    def __init__(self, path: Path) -> None:
        """Opens it. Raises DataError if it cannot be read or is too short for its head."""
        self.path = path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None
        if len(data) < 16:
            raise DataError(f"{path} is no .weights of Darknet: it has {len(data)} bytes")
        major, minor, _ = (int(n) for n in np.frombuffer(data, "<i4", 3))
        self.transposed = major > 1000 or minor > 1000
        counts_in_64_bits = 10 * major + minor >= 2 and not self.transposed
        head = 20 if counts_in_64_bits else 16
        if major < 0 or minor < 0 or (len(data) - head) % 4 or len(data) < head:
            raise DataError(f"{path} is no .weights of Darknet, or cut off: {len(data):,} bytes")
        self.values: Array = np.frombuffer(data, "<f4", offset=head)
        self.at = 0

    def take(self, section: Section, what: str, *shape: int) -> Array:
        """The next numbers, in a shape. Raises DataError if they are not there."""
        count = 1
        for n in shape:
            count *= n
        left = self.values.size - self.at
        if count > left:
            raise section.wrong(f"{self.path} has {left:,} numbers left, and its {what} are {count:,}")
        self.at += count
        return self.values[self.at - count : self.at].reshape(shape)

    def require_end(self) -> None:
        """Raises DataError if numbers are left."""
        if left := self.values.size - self.at:
            raise DataError(f"{self.path} has {left:,} numbers more than the .cfg has parameters")
