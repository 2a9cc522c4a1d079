"""dslc: a compiler for neural networks. A `.net` file becomes specialized C that trains and predicts.

>>> import dslc
>>> model = dslc.load("specs/lenet5.net", lr=0.01)      # check, compile (cached), load
>>> model.fit(x, y, dev=(x_dev, y_dev), epochs=10)
>>> model.predict(x)
"""

from __future__ import annotations

import importlib
import os

TYPE_CHECKING = False  # as in `typing`, which need not be imported before signals are answered
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from dslc.cores import Threads
    from dslc.ir import Network
    from dslc.language.diagnostics import DataError, SpecError, UsageError
    from dslc.runtime.data.stream import Stream
    from dslc.runtime.model import Model
    from dslc.runtime.quantized import QuantizedModel


def check(path: str | Path, **params: object) -> Network:
    """Parses and checks a spec file.

    params: values for the file's params and settings, in place of its own: `lr=0.01, epochs=3`.

    Raises:
        SpecError: the file has errors; `diagnostics` lists all of them.
    """
    from dslc.compiler import check_file

    return check_file(path, params)


def load(
    path: str | Path,
    *,
    weights: str | Path | None = None,
    dtype: str | None = None,
    threads: Threads = "auto",
    **params: object,
) -> Model:
    """Checks, compiles (cached) and loads a spec file; or the model of a run folder, with its weights. Of the folder
    of a quantized network it is the `QuantizedModel`.

    weights: a file of them, one that `save` wrote or one of PyTorch (.pth, .pt, .safetensors) or Keras (.keras, .h5).
    dtype: `float32`, `float64` or `mixed`, the file's precision unless given. threads: how many share the work at most;
    `auto` is $DSLC_THREADS, or as many as pay off on the cores that this process may use. The results have the same
    bits for any number. params: values for the file's params and settings, in place of its own: `lr=0.01, epochs=3`.

    Raises:
        SpecError: the file has errors; `diagnostics` lists all of them.
        DataError: the weights cannot be read, or do not fit; the message lists the differences.
        UsageError: the machine has too little memory.
        ValueError: `dtype` or `threads` is not a valid value.
    """
    from dslc.compiler import check_file
    from dslc.runtime.model import Model

    if weights is None and os.path.isdir(path):  # False for what is too long for a name
        return _of_run(str(path), dtype, threads, params)
    model = Model(check_file(path, params, _precision(dtype)), threads)
    if weights is not None:
        from pathlib import Path

        from dslc.interchange.loading import load_into

        load_into(model, Path(weights))
    return model


def _of_run(run: str, dtype: str | None, threads: Threads, params: dict[str, object]) -> Model:
    from dslc.language.diagnostics import DataError
    from dslc.runtime.runs.folder import load_run
    from dslc.runtime.runs.quantized import is_quantized, read_quantized

    if not is_quantized(run):
        return load_run(run, threads, params, _precision(dtype))
    if params or dtype is not None:
        given = ", ".join([*params, *(["dtype"] if dtype else [])])
        raise DataError(f"{run} is quantized, and its numbers are what they are: {given} cannot be set")
    return read_quantized(run, threads=threads)  # type: ignore[return-value]  # it predicts and is judged as a Model


def loads(text: str, *, dtype: str | None = None, threads: Threads = "auto", **params: object) -> Model:
    """Like `load`, but takes the text of a spec instead of a path."""
    from dslc.compiler import check_text
    from dslc.runtime.model import Model

    return Model(check_text(text, params, _precision(dtype)), threads)


def quantize(
    model: Model,
    data: object,
    *,
    bits: Literal[7, 8] = 8,
    ranges: Literal["mse", "minmax"] | None = None,
    examples: int = 512,
) -> QuantizedModel:
    """A trained model in 8-bit integers (Jacob et al. 2018).

    data: inputs as `predict` takes them, up to `examples` of which show what numbers each value takes on. bits: of a
    value; 7 is faster with AVX2 where there is no VNNI. ranges: `mse` takes the range with the least square error,
    `minmax` the whole; None those of a training with `quantize int8`, else `mse`.

    Raises:
        SpecError: some layers have no form in integers; it names their places.
        DataError: the data do not fit the network, or the model is quantized already.
        UsageError: bits, ranges or examples are none that there are, or a layer sums more products than 32-bit
            integers hold.
    """
    from dslc.language.diagnostics import DataError
    from dslc.quantization.quantize import quantize as to_integers
    from dslc.runtime.quantized import QuantizedModel, calibration_inputs, signals_of
    from dslc.runtime.runs.trained import trained

    if isinstance(model, QuantizedModel):
        raise DataError(f"{model.network.name} is quantized already")
    _require_known(bits, ranges, examples)
    known = trained(model.network, model.copy_weights(), model.schema)
    inputs = calibration_inputs(model.network, model.schema, data, examples)
    program = to_integers(known, inputs, bits, ranges)
    return QuantizedModel(known, program, model.schema, signals=signals_of(known, program, inputs))


def _require_known(bits: object, ranges: object, examples: int) -> None:
    """Raises CallError where a setting of `quantize` is none that there is."""
    from dslc.language.diagnostics import CallError

    if bits not in (7, 8):
        raise CallError(f"bits is 7 or 8, not {bits!r}")
    if ranges not in (None, "mse", "minmax"):
        raise CallError(f"ranges is 'mse' or 'minmax', not {ranges!r}")
    if examples < 1:
        raise CallError(f"examples must be at least 1, not {examples}")


def _precision(dtype: str | None) -> str | None:
    from dslc.ir import PRECISIONS

    if dtype not in (None, *PRECISIONS):
        raise ValueError(f"dtype is 'float32', 'float64' or 'mixed', not {dtype!r}")
    return dtype


def __getattr__(name: str) -> object:
    """The classes, imported when they are first used: the command must answer signals before it imports anything."""
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(CLASSES[name]), name)


CLASSES = {
    "DataError": "dslc.language.diagnostics",
    "SpecError": "dslc.language.diagnostics",
    "Stream": "dslc.runtime.data.stream",
    "UsageError": "dslc.language.diagnostics",
}
"""Where the public classes are."""
__all__ = ["DataError", "SpecError", "Stream", "UsageError", "check", "load", "loads", "quantize"]
