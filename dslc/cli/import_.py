"""`dslc import`: a model from elsewhere as a spec and its weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import app, examples, writing
from dslc.language.diagnostics import CallError


@app.command(
    name="import",
    help_epilogue=examples(
        "dslc import model.onnx",
        "dslc import model.onnx -o nets/digits",
        "dslc import model.onnx --size 224x224x3",
        "dslc import darknet19.cfg --weights darknet19.weights",
        "dslc predict nets/digits.weights.safetensors --data mnist",
    ),
)
def import_(
    model: Annotated[str, Parameter(name="MODEL", help="An .onnx file, or a .cfg of Darknet.")],
    *,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    weights: str | None = None,
    size: str | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write an ONNX model, or a classifier of Darknet, as a spec and its weights.

    NAME.net is a spec to read and to change: give it a train block, and it
    learns on. NAME.weights.safetensors has its weights. A model of ONNX is
    compared with both on random inputs. What the language lacks is listed.

    Args:
        output: NAME of the two files, with a folder before it if it is elsewhere; by default that of the model.
        weights: The .weights of Darknet; by default the one beside the .cfg, of the same name.
        size: The size of an example, such as 224x224x3, where the model leaves it free; of Darknet in place of its own.
        overwrite: Replace files that are there.
    """
    from dslc.cache import write_whole
    from dslc.interchange.importing import import_darknet, import_onnx
    from dslc.runtime.training.weights import save_weights

    darknet = model.endswith(".cfg")
    if not darknet and not model.endswith(".onnx"):
        raise CallError(f"{model} is no .onnx file, and no .cfg of Darknet")
    if weights is not None and not darknet:
        raise CallError("--weights is for a .cfg of Darknet: an .onnx file has its weights inside")
    stem = Path(output or Path(model).stem)
    spec, kept = (stem.with_name(f"{stem.name}{end}") for end in (".net", ".weights.safetensors"))
    for path in (spec, kept):
        if path.exists() and not overwrite:
            raise CallError(f"{path} exists already: name others with -o, or add --overwrite")
    path, wanted = Path(model), None if size is None else _size(size)
    if darknet:
        found = import_darknet(path, Path(weights) if weights else path.with_suffix(".weights"), stem.name, wanted)
    else:
        found = import_onnx(path, stem.name, wanted)
    with writing(spec):
        spec.parent.mkdir(parents=True, exist_ok=True)
        write_whole(spec, found.written.text.encode())
    save_weights(kept, found.network, found.written.parameters, found.schema)
    count = sum(p.elements for p in found.network.parameters)
    print(f"{spec}: {len(found.network.nodes)} layers, {count:,} parameters in {kept.name}")
    if found.difference is not None:
        print(f"largest difference from {model} on random inputs: {found.difference:.2g}")
    for name in found.left:
        print(f"left out: the output {name}, which only picks a class or is constant")


def _size(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})*", text):
        raise CallError(f"--size wants a size such as 224x224x3, not {text!r}")
    return tuple(map(int, text.split("x")))
