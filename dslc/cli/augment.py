"""`dslc augment`: a sheet of augmented examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import Data, Define, Spec, app, examples, overrides, positive, writing
from dslc.cli.data import DataOptions, training_data
from dslc.cli.whole import OptionalWhole, Whole
from dslc.compiler import check_file


@app.command(
    help_epilogue=examples(
        "dslc augment specs/augmented.net --data mnist -o sheet.png",
    )
)
def augment(
    spec: Spec,
    *,
    data: Data,
    output: Annotated[str, Parameter(name=["-o", "--output"])] = "augmented.png",
    examples_: Annotated[Whole, Parameter(name="--examples")] = 6,
    draws: Whole = 7,
    seed: OptionalWhole = None,
    read: DataOptions = DataOptions(),
    define: Define = None,
) -> None:
    """Draw examples as training will see them: the original, and beside it what its augmentation layers make of it.

    Args:
        output: The picture to write: a .png, .pdf, .svg or .jpg.
        examples_: Rows of the sheet.
        draws: Columns beside the original, one for each of the first steps.
        seed: That of the file unless given.
    """
    from dslc.cache import write_whole
    from dslc.runtime.analysis.augmentation_sheet import draw, image_format, sheet

    kind = image_format(output)
    rows, columns = positive(examples_, "--examples"), positive(draws, "--draws")
    network = check_file(spec, overrides(define))
    parts = sheet(network, training_data(network, data, read).train.x, rows, columns, seed)
    picture = draw(network.name, parts, kind)
    with writing(output):
        write_whole(Path(output), picture)
    print(f"{output}: {len(parts[0].original)} examples, {columns} draws of each")
