"""`dslc convert`: weights of other programs for a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import Define, Spec, app, examples, overrides
from dslc.language.diagnostics import CallError


@app.command(
    help_epilogue=examples(
        "dslc convert mnist.net mnist.pth",
        "dslc convert mnist.net mnist.keras -o mnist.weights.safetensors",
        "dslc convert mnist.net mnist.pth --map mnist.json",
        "dslc predict mnist.weights.safetensors --data mnist",
    )
)
def convert(
    spec: Spec,
    weights: Annotated[str, Parameter(name="WEIGHTS", help="A .pth, .pt, .safetensors, .keras or .h5 file.")],
    *,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    map: Annotated[str | None, Parameter(name="--map")] = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    define: Define = None,
) -> None:
    """Write weights of PyTorch or Keras as weights of a spec.

    PyTorch is not needed, and nothing in a .pth is carried out: it may
    hold tensors only. Layers get the weights of the module of their name
    (conv1, features_0 of features.0), or all of them by their order; the
    axes of filters and the order of flattened numbers are turned.

    Args:
        output: The file to write; by default the spec's name and .weights.safetensors.
        map: A JSON file that says which module each layer is: {"conv1": "features.0", ...}.
        overwrite: Replace a file that is there.
    """
    from dslc.compiler import check_file
    from dslc.interchange.loading import weights_for
    from dslc.runtime.data.schema import Schema
    from dslc.runtime.training.weights import save_weights

    network = check_file(spec, overrides(define))
    path = Path(output or f"{Path(spec).stem}.weights.safetensors")
    if path.exists() and not overwrite:
        raise CallError(f"{path} exists already: name another with -o, or add --overwrite")
    found = weights_for(network, Path(weights), None if map is None else Path(map))
    save_weights(path, network, found.arrays, Schema())
    for layer, module in found.modules.items():
        print(f"{layer} = {module}")
    count = sum(array.size for array in found.arrays.values())
    print(f"{path}: {count:,} parameters of {len(found.modules)} layers, matched {found.how}")
