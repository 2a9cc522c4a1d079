"""`dslc export`: a trained network for the outside."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dslc.cli.app import Define, app, examples, exported_target, overrides, positive, writing
from dslc.cli.whole import Whole
from dslc.language.diagnostics import CallError

if TYPE_CHECKING:
    from dslc.export.network import Trained, Wishes

Source = Annotated[
    str,
    Parameter(name="RUN", help="A run folder, a weights file that `save` wrote, or a .net file (with --weights)."),
]
Output = Annotated[str | None, Parameter(name=["-o", "--output"])]
Switch = Annotated[bool, Parameter(negative=())]
NOT_NCHW = "--nchw is for --to onnx: images of exported C have the channels last"


@app.command(
    help_epilogue=examples(
        "dslc export runs/lenet5-1 --to c",
        "dslc export runs/lenet5-1 --to c -o firmware --portable --optimize size",
        "dslc export runs/lenet5-1 --to c --target aarch64 --max-batch 16 --training",
        "dslc export runs/lenet5-1 --to wasm --training",
        "dslc export runs/lenet5-1_int8 --to wasm",
        "dslc export specs/lenet5.net --weights lenet5.safetensors --to c --embed",
        "dslc export runs/lenet5-1 --to onnx",
        "dslc export runs/lenet5-1 --to onnx -o models/digits.onnx --nchw",
    )
)
def export(
    run: Source,
    *,
    to: Literal["c", "wasm", "onnx"] = "c",
    output: Output = None,
    weights: str | None = None,
    max_batch: Whole = 1,
    target: str | None = None,
    portable: Switch = False,
    optimize: Literal["speed", "size"] = "speed",
    embed: bool | None = None,
    training: Switch = False,
    threads: Literal["pthread", "openmp"] | None = None,
    nchw: Switch = False,
    define: Define = None,
) -> None:
    """Write a trained network as C, as a page for browsers, or as an ONNX model.

    The C is C99, allocates nothing and needs only the C library's string
    and math functions. What it computes from the weights alone is computed
    now: the weights stay constant, in flash or in a mapped file, and a small
    workspace is all the memory that it asks for.

    wasm: a folder with a page that predicts, for any server of static files;
    it needs clang, lld and wasi-libc. With --training it learns a class of
    one's own, and repeats examples of the run's training data, which lie in
    the folder.

    The ONNX model has standard operators, takes any number of examples, and
    has images as dslc has them, with the channels last. That of a quantized
    run has its integers between QuantizeLinear and DequantizeLinear.

    Args:
        to: c, wasm or onnx.
        output: The folder to write to, by default the net's name and -c or -wasm; of ONNX the folder or the .onnx file.
        weights: The weights of a .net file.
        max_batch: The most examples of a call; memory is planned for them.
        target: The machine: native (this one), x86-64-v3, x86-64-v4, aarch64, aarch64-dotprod, armv7, riscv64,
            wasm, cortex-m3, cortex-m4 or cortex-m7; generic, the default, is any that gcc or clang compile for.
        portable: Plain C for any compiler, without vectors.
        optimize: size: the least code and memory.
        embed: The weights as an array in the C (--no-embed: never); by default where they are less than 64 KB.
        training: The C learns too: train_step with the optimizer of the spec, evaluate, save_weights.
        threads: What shares the work of a prediction among threads; by default one runs alone.
        nchw: ONNX: images with the channels first.
    """
    from dslc.export.export import export_c
    from dslc.export.network import Wishes
    from dslc.export.report import report, with_report
    from dslc.runtime.runs.quantized import is_quantized
    from dslc.runtime.runs.trained import read_trained

    if is_quantized(run):
        if weights is not None or define:
            raise CallError(f"{run} is quantized: it goes out without --weights and -D")
        if to == "onnx":
            _require_none_of_c(max_batch, target, portable, optimize, embed, training, threads)
            _write_onnx_integers(run, output, nchw)
            return
        if nchw:
            raise CallError(NOT_NCHW)
        if to == "wasm":
            _require_none_of_c(max_batch, target, portable, "speed", embed, False, threads)
            _export_quantized_page(run, optimize == "size", training, output)
            return
        machine = exported_target(_machine(portable, target))
        wishes = Wishes(machine, positive(max_batch, "--max-batch"), optimize == "size", embed, training, threads or "")
        _export_quantized(run, wishes, output)
        return
    if to == "onnx":
        _require_none_of_c(max_batch, target, portable, optimize, embed, training, threads)
        _write_onnx(run, weights, define, output, nchw)
        return
    if nchw:
        raise CallError(NOT_NCHW)
    if to == "wasm":
        if portable or target is not None or embed is not None or max_batch != 1 or threads is not None:
            raise CallError("--to wasm: a page is for browsers, with its weights in a file and an example at a time")
        _export_page(run, weights, output, optimize == "size", training, define)
        return
    machine = exported_target(_machine(portable, target))
    trained = read_trained(run, weights, overrides(define))
    wishes = Wishes(machine, positive(max_batch, "--max-batch"), optimize == "size", embed, training, threads or "")
    exported = export_c(trained, wishes)
    told = report(exported, trained.prefix, optimize == "size")
    _write(Path(output or f"{trained.prefix}-c"), with_report(exported, told))
    print("\n".join(told))


ROUNDED_AGAIN = (
    "onnxruntime may quantize the weights of quantize int8 again, by one scale for all filters: set "
    "session.disable_quant_qdq to 1, or export what `dslc quantize` makes of the run"
)


def _machine(portable: bool, target: str | None) -> str:
    if portable and target is not None:
        raise CallError("--portable is a target of its own: it goes without --target")
    return "c99" if portable else target or "generic"


def _export_quantized(run: str, wishes: Wishes, output: str | None) -> None:
    """Writes the C of a quantized network."""
    from dslc.export.report import report, with_report
    from dslc.quantization.export import PREDICTS, export_quantized
    from dslc.runtime.runs.quantized import read_quantized

    model = read_quantized(run)
    exported = export_quantized(model.trained, model.program, wishes)
    told = report(exported, model.trained.prefix, wishes.small, PREDICTS)
    _write(Path(output or f"{model.trained.prefix}-c"), with_report(exported, told))
    print("\n".join(told))


def _export_quantized_page(run: str, small: bool, training: bool, output: str | None) -> None:
    """`--to wasm` of a quantized network."""
    from dslc.quantization.export import export_quantized_page
    from dslc.runtime.runs.quantized import read_quantized

    model = read_quantized(run)
    files = export_quantized_page(model.trained, model.program, small, training)
    _write_page(files, output or f"{model.trained.prefix}-wasm")


def _export_page(
    run: str, weights: str | None, output: str | None, small: bool, training: bool, define: list[str] | None
) -> None:
    """`--to wasm`."""
    from dslc.export.network import Wishes
    from dslc.export.page import export_page
    from dslc.runtime.runs.rehearsal import rehearsal
    from dslc.runtime.runs.trained import read_trained

    trained = read_trained(run, weights, overrides(define))
    examples = rehearsal(run, trained) if training and weights is None else None
    if training and examples is None:
        print(
            "no examples of the training lie beside: a page that learns one class alone forgets others", file=sys.stderr
        )
    files = export_page(trained, Wishes(exported_target("wasm"), small=small, training=training), examples)
    _write_page(files, output or f"{trained.prefix}-wasm")


def _write_page(files: Mapping[str, bytes], output: str) -> None:
    """Writes the files of a page, and says how to see it."""
    folder = Path(output)
    _write(folder, files)
    loaded = sum(len(contents) for name, contents in files.items() if name != "README.md")
    print(f"{loaded:,} bytes to load; python3 -m http.server -d {folder} serves it at http://localhost:8000")


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files to a folder, and says so."""
    from dslc.cache import write_whole

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, contents in files.items():
            write_whole(folder / name, contents)
    for name, contents in files.items():
        print(f"{folder / name} ({len(contents):,} bytes)")


def _require_none_of_c(
    max_batch: int,
    target: str | None,
    portable: bool,
    optimize: str,
    embed: bool | None,
    training: bool,
    threads: str | None,
) -> None:
    given = {
        "--max-batch": max_batch != 1, "--target": target is not None, "--portable": portable,
        "--optimize": optimize != "speed", "--embed": embed is not None, "--training": training,
        "--threads": threads is not None,
    }  # fmt: skip
    for option, there in given.items():
        if there:
            raise CallError(f"{option} is for --to c")


def _write_onnx(run: str, weights: str | None, define: list[str] | None, output: str | None, nchw: bool) -> None:
    """Writes NAME.onnx, or the file that -o names."""
    from dslc.export.onnx.model import OPSET, export_onnx
    from dslc.runtime.runs.trained import read_trained

    trained = read_trained(run, weights, overrides(define))
    _write_model(trained, export_onnx(trained, nchw), output)
    print(f"ONNX with operators of opset {OPSET}, in single precision, for any number of examples.")
    _tell_axes(trained, nchw)
    if trained.network.training is not None and trained.network.training.quantize:
        print(f"note: {ROUNDED_AGAIN}", file=sys.stderr)


def _write_onnx_integers(run: str, output: str | None, nchw: bool) -> None:
    """The same of a quantized network."""
    from dslc.export.onnx.model import OPSET
    from dslc.quantization.onnx_model import export_quantized_onnx
    from dslc.runtime.runs.quantized import read_quantized

    model = read_quantized(run)
    _write_model(model.trained, export_quantized_onnx(model.trained, model.program, nchw), output)
    print(f"ONNX with QuantizeLinear and DequantizeLinear of opset {OPSET}, for any number of examples.")
    _tell_axes(model.trained, nchw)


def _write_model(trained: Trained, model: bytes, output: str | None) -> None:
    from dslc.cache import write_whole

    path = Path(output or ".")
    path = path if path.suffix == ".onnx" else path / f"{trained.prefix}.onnx"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, model)
    print(f"{path} ({len(model):,} bytes)")


def _tell_axes(trained: Trained, nchw: bool) -> None:
    if any(len(value.shape) == 3 for value in trained.network.inputs):
        print(f"Images are (batch, {'channels, rows, columns' if nchw else 'rows, columns, channels'}).")
