"""Numbers with a decimal comma, as German, French and many other languages write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dslc.language.diagnostics import DataError
from dslc.runtime.data.frames import quoted

if TYPE_CHECKING:
    from polars import DataFrame

COMMA = r"^\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*$"
MAYBE_THOUSANDS = r"^\s*[+-]?[1-9]\d{0,2},\d{3}\s*$"


def decimal_points(path: Path, frame: DataFrame) -> tuple[DataFrame, tuple[str, ...]]:
    """Where cells are not parted by commas, a comma may stand for the decimal point, as in German or French. Whether it
    does is told by the whole file.

    Raises:
        DataError: all numbers with a comma might as well have separators of thousands.
    """
    import polars

    with_comma = {name: frame[name].str.contains(COMMA).fill_null(False) for name in frame.columns}
    found = [name for name, there in with_comma.items() if there.any()]
    if not found:
        return frame, ()
    cells = polars.concat([frame[name].filter(with_comma[name]) for name in found])
    if cells.str.contains(MAYBE_THOUSANDS).all():
        raise DataError(
            f"{path}, column {quoted(found[0])}: {cells[0]!r} may mean {cells[0].replace(',', '')} or "
            f"{cells[0].replace(',', '.')}: write numbers with a point and without separators of thousands"
        )
    turned = [
        polars.when(polars.col(name).str.contains(COMMA))
        .then(polars.col(name).str.replace(",", ".", literal=True))
        .otherwise(polars.col(name))
        .alias(name)
        for name in found
    ]
    return frame.with_columns(turned), (f"{path}: commas are decimal points, as in {cells[0]}",)
