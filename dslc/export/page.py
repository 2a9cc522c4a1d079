"""A network as a page for browsers: a folder of static files that predicts, and learns a class of one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from dslc.codegen.summary import version
from dslc.codegen.templating import render
from dslc.export.drawing import DrawingStyle, style_of
from dslc.export.export import Exported, export_numbers
from dslc.export.interface import errors_of, interface_of
from dslc.export.network import Trained, Wishes
from dslc.export.own_class import OWN, with_own_class
from dslc.export.wasm import compile_wasm
from dslc.ir import Head, Network, Value
from dslc.language.diagnostics import CallError
from dslc.layers.softmax import Softmax
from dslc.numerics import Array, np
from dslc.target import TARGETS

LARGEST_DRAWING = 64
"""Grey images up to this size are drawn; others are dropped on the page."""
MOST_FIELDS = 64
"""Up to so many numbers have a field each."""
LARGEST_STEP = 16
"""The most examples of a step, so that a hundred examples make several."""


@dataclass(frozen=True)
class Examples:
    """Some examples of the training, which a page that learns repeats so that it forgets nothing: x (n, *shape) as the
    network takes them, y (n,) class numbers."""

    x: Array
    y: Array


def export_page(trained: Trained, wishes: Wishes, examples: Examples | None) -> dict[str, bytes]:
    """The files of the page by name. With `wishes.training` the network gets a class to spare; `examples` lie beside.

    Raises:
        CallError: the network has several inputs, or should learn and does not tell classes.
        UsageError: there is no compiler for WebAssembly.
    """
    _require_one_input(trained)
    wishes = replace(wishes, target=TARGETS["wasm"], embed=False)
    if wishes.training:
        training = trained.network.training
        if training is None:
            raise CallError("--training: this network has no `train` that says how it learns")
        trained = with_own_class(trained)
        wishes = replace(wishes, batch=min(LARGEST_STEP, training.slice or LARGEST_STEP))
    exported = export_numbers(trained, wishes)
    prefix, functions = trained.prefix, ["memory_size", "init", "load_weights", "predict"]
    functions += ["weights_size", "save_weights", "train_step"] if wishes.training else []
    names = [f"{prefix}_{function}" for function in functions]
    stored = _stored(examples) if wishes.training and examples is not None else {}
    about = _about(trained, wishes, exported, examples if stored else None)
    return {
        f"{prefix}.wasm": compile_wasm(exported.files, prefix, names, wishes.small),
        f"{prefix}.weights": exported.files[f"{prefix}.weights"],
        **_page(trained, about, wishes.training, False),
        **stored,
    }


def page_without_weights(trained: Trained, wishes: Wishes, exported: Exported) -> dict[str, bytes]:
    """The files of a page whose network was exported with its weights in the C, and takes memory in each call of
    `predict`: a quantized one.

    Raises:
        CallError: the network has several inputs.
        UsageError: there is no compiler for WebAssembly.
    """
    _require_one_input(trained)
    module = compile_wasm(exported.files, trained.prefix, [f"{trained.prefix}_predict"], wishes.small)
    about = _about(trained, wishes, exported, None)
    return {f"{trained.prefix}.wasm": module, **_page(trained, about, False, True)}


def _require_one_input(trained: Trained) -> None:
    if len(trained.network.inputs) > 1:
        raise CallError("--to wasm: a page asks for one input, and this network has several; take --to c")


def _page(trained: Trained, about: Mapping[str, object], trains: bool, quantized: bool) -> dict[str, bytes]:
    """The files that people write: what they show is in `about.js`. `quantized`: the weights are in the module."""
    single = trained.network.dtype == "float32"
    static = ("style.css", "inputs.js", "drawing.js", *(["learning.js"] if trains else []))
    context = {"title": trained.network.name, "version": version(), "trains": trains}
    readme = {**context, "prefix": trained.prefix, "quantized": quantized}
    return {
        "about.js": f"export default {json.dumps(about, indent=2, ensure_ascii=False)};\n".encode(),
        "network.js": render("page/network.js.j2", {"quantized": quantized}, single).encode(),
        "index.html": render("page/index.html.j2", context, single).encode(),
        "page.js": render("page/page.js.j2", {"trains": trains}, single).encode(),
        "README.md": render("page/README.md.j2", readme, single).encode(),
        **{name: render(f"page/{name}.j2", {}, single).encode() for name in static},
    }


def _stored(examples: Examples) -> dict[str, bytes]:
    """`examples.bin`: as bytes where they are images with numbers from 0 to 1, else as float32."""
    if _are_bytes(examples):
        return {"examples.bin": np.round(examples.x * 255).astype(np.uint8).tobytes()}
    return {"examples.bin": examples.x.astype("<f4").tobytes()}


def _are_bytes(examples: Examples) -> bool:
    return bool(examples.x.ndim == 4 and examples.x.min() >= 0 and examples.x.max() <= 1)


def _about(trained: Trained, wishes: Wishes, exported: Exported, examples: Examples | None) -> dict[str, object]:
    """What the page knows: names, shapes, classes, and how its input came to be in training."""
    interface = interface_of(trained, 4 if trained.network.dtype == "float32" else 8)
    images = trained.images
    return {
        "name": trained.network.name,
        "prefix": trained.prefix,
        "double": interface.real == "double",
        "batch": wishes.batch,
        "memory": exported.training_bytes if wishes.training else exported.memory_bytes,
        "alignment": TARGETS["wasm"].vector_bytes,
        "errors": [error.meaning for error in errors_of(wishes.training)],
        "input": _input(trained, style_of(None if examples is None else examples.x)),
        "outputs": [_output(trained, head) for head in trained.network.answers],
        "images": {"fit": images.fit, "background": list(images.background), "scale": 255 if images.scale else 1},
        "own": OWN if wishes.training else None,
        "examples": None if examples is None else {"labels": examples.y.tolist(), "bytes": _are_bytes(examples)},
    }


def _input(trained: Trained, style: DrawingStyle) -> dict[str, object]:
    value = trained.network.inputs[0]
    kind = _kind(trained.network, value)
    names = trained.features.get(value.name) or tuple(f"{value.name} {i + 1}" for i in range(value.elements))
    return {
        "name": value.name,
        "shape": list(value.shape),
        "elements": prod(value.shape),
        "kind": kind,
        "features": list(names) if kind == "numbers" else [],
        "columns": [dict(column) for column in trained.tables.get(value.name, ())],
        "drawing": {"bright": style.bright, "box": style.box},
    }


def _kind(network: Network, value: Value) -> str:
    """What people give: a table's row, a drawing, an image, a few numbers, or many."""
    if network.table(value.name) is not None:
        return "table"
    if len(value.shape) == 3 and value.shape[2] in (1, 3):
        small = value.shape[2] == 1 and max(value.shape) <= LARGEST_DRAWING
        return "drawing" if small else "image"
    return "numbers" if value.elements <= MOST_FIELDS and len(value.shape) == 1 else "list"


def _output(trained: Trained, head: Head) -> dict[str, object]:
    """`says`: classes with probabilities, yes or no, or numbers."""
    last = trained.network.producer(head.value)
    classes = head.loss.classes if head.loss is not None else last is not None and isinstance(last.layer, Softmax)
    yes = head.loss is not None and head.loss.binary and head.value.elements == 1
    vector = len(head.value.shape) == 1
    count = head.value.elements
    names = trained.classes.get(head.name) or (("no", "yes") if yes else tuple(map(str, range(count))))
    says = "classes" if classes and vector else "yes" if yes else "numbers"
    return {"name": head.name, "elements": count, "says": says, "classes": list(map(str, names))}
