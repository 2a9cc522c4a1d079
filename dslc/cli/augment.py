"""`dslc augment`: a sheet of augmented examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.data import DataOptions, training_data
from dslc.cli.main import Data, Define, app, overrides, positive, writing
from dslc.compiler import check_file


@app.command
def augment(
    spec: str,
    *,
    data: Data,
    output: Annotated[str, Parameter(name=["-o", "--output"])] = "augmented.png",
    examples: int = 6,
    draws: int = 7,
    seed: int | None = None,
    read: DataOptions = DataOptions(),
    define: Define = None,
) -> None:
    """Draw examples as training will see them: the original, and beside it what its augmentation layers make of it.

    output: a .png, .pdf, .svg or .jpg. examples: rows of the sheet. draws: columns beside the original, one for each
    of the first steps. seed: that of the file unless given.

    Example:  dslc augment specs/augmented.net --data mnist -o sheet.png
    """
    from dslc.cache import write_whole
    from dslc.runtime.analysis.sheet import draw, image_format, sheet

    kind = image_format(output)
    rows, columns = positive(examples, "--examples"), positive(draws, "--draws")
    network = check_file(spec, overrides(define))
    parts = sheet(network, training_data(network, data, read).train.x, rows, columns, seed)
    picture = draw(network.name, parts, kind)
    with writing(output):
        write_whole(Path(output), picture)
    print(f"{output}: {len(parts[0].original)} examples, {columns} draws of each")
