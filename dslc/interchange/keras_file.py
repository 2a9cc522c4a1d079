"""Weights of Keras: .keras archives and .h5 files of versions 2 and 3, read by h5py."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from dslc.json_text import parsed
from dslc.language.diagnostics import DataError, UsageError
from dslc.numerics import Array, np
from dslc.runtime.data.files import reported, require_file

ROLES = {
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "p_re_lu": ("alpha",),
}
"""What the arrays of a layer are that only have numbers; of all others kernel and bias."""
LARGEST = 16 << 30
MOST_PACKED = 1100
"""A byte that is stored unpacks to no more: those of zeros give 1032."""


def read_keras(path: Path) -> tuple[dict[str, Array], bool]:
    """The arrays of a file as `layer.role`, and whether they stand in the order of the model, which not all files tell.

    Raises:
        DataError: it cannot be read, or is damaged.
        UsageError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise UsageError("weights of Keras need the package h5py: pip install dslc[keras]") from None
    with reported(path):
        require_file(path)
        try:
            if path.suffix == ".keras":
                return _of_archive(path, h5py)
            with h5py.File(path, "r") as file:
                return _of_file(file, h5py)
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise DataError(f"{path} cannot be read as weights of Keras: {error}") from None
        except OSError as error:
            raise DataError(f"{path} is no file of HDF5, or damaged: {error}") from None


def _of_archive(path: Path, h5py: Any) -> tuple[dict[str, Array], bool]:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model.weights.h5")
        if info.file_size > min(LARGEST, 200 * path.stat().st_size):
            raise ValueError(f"its weights would have {info.file_size:,} bytes")
        with h5py.File(io.BytesIO(archive.read(info)), "r") as file:
            found, _ = _of_file(file, h5py)
        config = parsed(archive.read("config.json")) if "config.json" in archive.namelist() else {}
    return _in_order(found, config), bool(config)


def _of_file(file: Any, h5py: Any) -> tuple[dict[str, Array], bool]:
    """Version 2 names each array; version 3 numbers those of a layer in `vars`."""
    root = file.get("model_weights", file)
    found: dict[str, Array] = {}
    for where, dataset in _datasets(root, h5py):
        parts = [part for part in where.split("/") if part not in ("layers", "_layer_checkpoint_dependencies")]
        if parts[0] in ("optimizer", "optimizer_weights", "top_level_model_weights"):
            continue
        if len(parts) > 1 and parts[-2] == "vars":
            layer = "/".join(parts[:-2])
            role = _role(layer.rpartition("/")[2], int(parts[-1]))
        else:
            role = parts[-1].partition(":")[0]
            layer = "/".join(dict.fromkeys(parts[:-1]))
        found[f"{layer}.{role}"] = dataset
    order = [_text(name) for name in root.attrs.get("layer_names", ())]
    rank = {name: i for i, name in enumerate(order)}
    ordered = sorted(found.items(), key=lambda item: rank.get(re.split("[./]", item[0])[0], len(rank)))
    return dict(ordered), bool(order)


def _datasets(group: Any, h5py: Any, before: str = "") -> Iterator[tuple[str, Array]]:
    """All arrays below a group; links to other files are not followed."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            most = min(LARGEST, MOST_PACKED * item.id.get_storage_size())
            if item.is_virtual or item.external or prod(item.shape) * item.dtype.itemsize > most:
                raise ValueError(f"the array {before}{name} does not lie in the file")
            yield f"{before}{name}", np.asarray(item[()])
        elif isinstance(item, h5py.Group) and before.count("/") < 16:
            yield from _datasets(item, h5py, f"{before}{name}/")


def _role(layer: str, number: int) -> str:
    kind = re.sub(r"_\d+$", "", layer)
    return (*ROLES.get(kind, ("kernel", "bias")), *("",) * 8)[number]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _in_order(found: dict[str, Array], config: Any) -> dict[str, Array]:
    """In the order of the layers in the model's configuration. Version 3 names groups after the classes, numbered by
    their order; a layer's own name is then put in the place."""
    layers = config.get("config", {}).get("layers", []) if isinstance(config, dict) else []
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for layer in layers:
        kind = _snake(str(layer["class_name"]))
        number = counts[kind] = counts.get(kind, 0) + 1
        names[kind if number == 1 else f"{kind}_{number - 1}"] = str(layer["config"]["name"])
    parts = {name.partition("."): array for name, array in found.items()}
    if not {group for group, _, _ in parts} <= set(names):
        names = {name: name for name in names.values()}
    rank = {group: i for i, group in enumerate(names)}
    ordered = sorted(parts.items(), key=lambda item: rank.get(item[0][0], len(rank)))
    return {f"{names.get(group, group)}.{role}": array for (group, _, role), array in ordered}


def _snake(name: str) -> str:
    """`Conv2DTranspose` as Keras writes it: `conv2d_transpose`."""
    text = re.sub(r"\W+", "", name)
    text = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", text)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower()
