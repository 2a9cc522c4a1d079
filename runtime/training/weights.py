"""Reads and writes weights as safetensors files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dslc.cache import appearing_whole
from dslc.codegen.summary import version
from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.language.shipped import shipped
from dslc.runtime.data.files import reported, require_file
from dslc.runtime.data.schema import Schema
from dslc.runtime.native.parameters import ParameterView, Stored
from dslc.runtime.training.checksum import KEY, UNSET, require_intact, write_sealed
from dslc.runtime.training.spec_text import as_trained

Array = np.ndarray[Any, Any]
DATA = "data"
"""The key of the metadata that holds the schema."""
TYPES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "int8": "I8", "uint8": "U8"}
"""The names of safetensors."""


def save_weights(path: str | Path, network: Network, arrays: Mapping[str, Stored], schema: Schema) -> None:
    """Writes parameters, arrays by name in the language's shapes. The metadata hold the spec, its hash, the version of
    dslc, and the schema of the data. The file is replaced atomically. Raises DataError if it cannot be written."""
    write_arrays(path, network, arrays, {DATA: schema.to_json()})


def read_schema(path: str | Path) -> Schema:
    """What a weights file or checkpoint says of its data; nothing where an earlier version wrote it.

    Raises:
        DataError: the file cannot be read, or what it says is not understood.
    """
    text = read_metadata(path).get(DATA)
    return Schema() if text is None else Schema.from_json(text)


def write_arrays(path: str | Path, network: Network, arrays: Mapping[str, Stored], more: Mapping[str, str]) -> None:
    """Writes arrays, each asked for when its turn comes, with the spec as it was trained, `more` and a checksum as
    metadata; makes the folder if needed. Raises DataError if the file cannot be written."""
    text = as_trained(network)
    about = {"spec": text, "spec_sha256": hashlib.sha256(text.encode()).hexdigest(), "dslc_version": version()}
    texts = {**about, **more, KEY: UNSET}
    # Larger numbers first, as the library orders them: then all of them are aligned.
    ordered = dict(sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with appearing_whole(Path(path)) as file:
            write_sealed(file, _header(ordered, texts), map(_bytes, _pieces(ordered.values())))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from None


def _header(arrays: Mapping[str, Stored], texts: Mapping[str, str]) -> bytes:
    """The header of a safetensors file. The library writes files too, but from arrays that are all there at once."""
    entries: dict[str, object] = {"__metadata__": texts}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + prod(array.shape) * array.dtype.itemsize
        entries[name] = {"dtype": TYPES[array.dtype.name], "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _pieces(arrays: Iterable[Stored]) -> Iterator[Array]:
    """The arrays one after the other; of a view a piece at a time."""
    for array in arrays:
        if isinstance(array, ParameterView):
            yield from array.pieces()
        else:
            yield array


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file. Raises DataError if it cannot be read."""
    with _opened(path) as file:
        return file.metadata() or {}


def read_arrays(path: str | Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a safetensors file by name, and its metadata. Raises DataError if it cannot be read."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A safetensors file.

    Raises:
        DataError: it is none, cannot be read, or does not match its checksum.
    """
    with reported(Path(path)):
        require_file(Path(path))
        require_no_spec(Path(path))
        try:
            with safe_open(str(path), framework="numpy") as file:
                require_intact(Path(path))
                yield file
        except SafetensorError as error:
            raise DataError(f"cannot read {path}: it is no weights file, or a damaged one ({error})") from None


def require_run(run: str) -> None:
    """Before anything else is said of a run.

    Raises:
        DataError: there is neither a folder nor a file of this name, or it is a spec.
    """
    path = Path(run)
    if not path.exists() and not path.is_symlink():
        known = f"; {run} is a spec: {_train_first(run)}" if shipped(run) is not None else ""
        raise DataError(f"there is no run {run}{known}")
    require_no_spec(path)


def require_no_spec(path: Path) -> None:
    """Raises DataError where a file is a spec, while a run or weights are wanted."""
    if path.suffix == ".net" and path.is_file():
        raise DataError(f"{path} is a spec, without weights: {_train_first(str(path))}")


def _train_first(spec: str) -> str:
    return f"train it first, with dslc train {spec} --data DATA, and name the run that this leaves"


def read_weights(
    path: str | Path,
    shapes: Mapping[str, tuple[int, ...]],
    only: Collection[str] | None,
    strict: bool,
    spare: Collection[str] = (),
) -> tuple[dict[str, Array], list[str]]:
    """The arrays of a file that fit a network, by name, and a line about each that does not.

    shapes: those of the network's parameters. only: names of the layers to read, None for all. strict: every array must
    fit, but those named `spare` may be missing.

    Raises:
        DataError: the file cannot be read, `only` names an unknown layer, or with `strict` an array does not fit.
    """
    found, _ = read_arrays(path)
    wanted = {name: shape for name, shape in shapes.items() if only is None or name.split(".")[0] in only}
    if only is not None:
        found = {name: array for name, array in found.items() if name in wanted or name.split(".")[0] in only}
        _require_layers(only, shapes)
    problems = differences(found, {n: shape for n, shape in wanted.items() if n in found or n not in spare})
    if problems and strict:
        raise DataError(f"the weights in {path} do not fit this network:\n  " + "\n  ".join(problems))
    return {name: a for name, a in found.items() if wanted.get(name) == a.shape}, problems


def _require_layers(only: Collection[str], shapes: Mapping[str, tuple[int, ...]]) -> None:
    layers = {name.split(".")[0] for name in shapes}
    unknown = [name for name in only if name not in layers]
    if unknown:
        raise DataError(
            f"no layer with parameters is called {', '.join(unknown)}; the layers are {', '.join(sorted(layers))}"
        )


def require_weights(path: str | Path, arrays: Mapping[str, Array], dtype: Any) -> None:
    """Before a network of this precision takes arrays of a file, by the file's names.

    Raises:
        DataError: one holds something else than numbers with a fraction, or numbers that are none or become infinite.
    """
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise DataError(f"{name} in {path} holds {array.dtype}: weights are float32 or float64")
        if not np.isfinite(array).all():
            raise DataError(f"{name} in {path} is not finite (NaN or infinite)")
        if array.dtype.itemsize <= np.dtype(dtype).itemsize:
            continue
        if (largest := float(np.abs(array).max(initial=0))) > np.finfo(dtype).max:
            raise DataError(f"{name} in {path} has {largest:.3g}, which is too large for {np.dtype(dtype).name}")


def differences(found: Mapping[str, Array], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """How the arrays of a file differ from the shapes that a network wants, a line each."""
    missing = [f"{name} {shape} is not in the file" for name, shape in wanted.items() if name not in found]
    extra = [f"{name} {a.shape} is not in the network" for name, a in found.items() if name not in wanted]
    other = [
        f"{name} has the shape {found[name].shape} in the file and {shape} in the network"
        for name, shape in wanted.items()
        if name in found and found[name].shape != shape
    ]
    return [*missing, *extra, *other]
