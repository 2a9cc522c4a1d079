"""What a batch of a stream holds: x and y, as a pair, as a dict of columns, or x alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslc.language.diagnostics import DataError
from dslc.runtime.data.given import as_array
from dslc.runtime.data.stream import Stream

LABELS = ("label", "labels", "target", "targets", "y")
"""Columns that are the target where a batch has columns and nothing else is said."""


def pair_of(batch: Any, stream: Stream, inputs: tuple[str, ...], heads: tuple[str, ...]) -> tuple[Any, Any]:
    """x and y of a batch; y is None where it has x alone.

    Raises:
        DataError: columns are missing, or it is not clear which are meant.
    """
    if isinstance(batch, Mapping):
        return _columns(batch, stream.x, inputs, "x"), _columns(batch, stream.y, heads, "y", optional=True)
    if isinstance(batch, (tuple, list)):
        if len(batch) != 2:
            raise DataError(f"a batch is a pair (x, y); this one is a {type(batch).__name__} of {len(batch)}")
        return tuple(map(plain, batch))
    return plain(batch), None


def _columns(batch: Mapping[str, Any], said: Any, names: tuple[str, ...], what: str, optional: bool = False) -> Any:
    if isinstance(said, str):
        said = {names[0]: said}
    wanted = said or {name: name for name in names}
    usual = [name for name in LABELS if name in batch]
    if said is None and optional and len(names) == 1 and names[0] not in batch and len(usual) == 1:
        wanted = {names[0]: usual[0]}
    missing = [column for column in wanted.values() if column not in batch]
    if optional and said is None and missing:
        return None
    if missing:
        raise DataError(
            f"a batch has the columns {', '.join(batch)}, and no {', '.join(missing)}: say which is meant, as in "
            f"dslc.Stream(data, {what}=...)"
        )
    found = {name: plain(batch[column]) for name, column in wanted.items()}
    return found if len(names) > 1 else found[names[0]]


def plain(given: Any) -> Any:
    """Arrays in place of tensors, also inside of dicts and tuples. Raises DataError where NumPy does not read one."""
    if isinstance(given, Mapping):
        return {name: plain(part) for name, part in given.items()}
    if isinstance(given, (tuple, list)) and any(hasattr(part, "detach") for part in given):
        return tuple(map(plain, given))
    return as_array(given.detach().cpu(), "a batch") if hasattr(given, "detach") else given
