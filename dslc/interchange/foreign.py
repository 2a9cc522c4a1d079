"""Weights as another program wrote them: arrays by module and role, whatever the kind of file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dslc.interchange.keras_file import read_keras
from dslc.interchange.torch_file import read_torch
from dslc.language.diagnostics import DataError
from dslc.numerics import Array
from dslc.runtime.training.weights import read_arrays

TORCH, KERAS = (".pth", ".pt", ".bin"), (".keras", ".h5", ".hdf5")
SUFFIXES = (*TORCH, *KERAS)
"""Endings of files that only other programs write."""
IGNORED = ("num_batches_tracked", "seed_generator_state", "seed_generator")
"""Numbers that no prediction depends on."""
WRAPPERS = ("state_dict.", "model_state_dict.", "model.", "module.")
"""What stands before all names where a state dict lies in another dict or in a wrapped module."""


@dataclass(frozen=True)
class Module:
    """A part of a model that owns arrays: its name, and the arrays by role (`weight`, `running_mean`, `kernel`)."""

    name: str
    arrays: Mapping[str, Array]


@dataclass(frozen=True)
class Foreign:
    """The modules of a file. `layout` says whose axes they have, `torch` or `keras`; `ordered`: they stand in the order
    of the model."""

    path: Path
    layout: str
    modules: tuple[Module, ...]
    ordered: bool


def read_foreign(path: Path) -> Foreign:
    """The weights in a file, by its ending: those in TORCH, those in KERAS, or .safetensors with the axes of PyTorch.

    Raises:
        DataError: it has another ending, cannot be read, or is damaged.
        UsageError: it is one of Keras, and h5py is not installed.
    """
    if path.suffix in TORCH:
        return Foreign(path, "torch", _modules(_unwrapped(read_torch(path))), True)
    if path.suffix == ".safetensors":
        modules = sorted(_modules(_unwrapped(read_arrays(path)[0])), key=lambda module: _counted(module.name))
        return Foreign(path, "torch", tuple(modules), _numbered([module.name for module in modules]))
    if path.suffix in KERAS:
        arrays, ordered = read_keras(path)
        return Foreign(path, "keras", _modules(arrays), ordered)
    raise DataError(f"{path} is no .safetensors, .pth, .pt, .keras or .h5 file")


def _counted(name: str) -> list[tuple[bool, int, str]]:
    """A name as it is counted: block.2 before block.10."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split(".")]


def _numbered(names: list[str]) -> bool:
    """Whether numbers alone tell the order of modules, as in 0, 3, 10: files of safetensors are sorted by name."""
    for one, other in pairwise(names):
        first = next(((a, b) for a, b in zip(one.split("."), other.split("."), strict=False) if a != b), ("", ""))
        if not all(part.isdigit() for part in first):
            return False
    return True


def _unwrapped(arrays: dict[str, Array]) -> dict[str, Array]:
    """Without what stands before every name; of a checkpoint only the part with the state dict."""
    for wrapper in WRAPPERS:
        inside = {name.removeprefix(wrapper): a for name, a in arrays.items() if name.startswith(wrapper)}
        if inside and (len(inside) == len(arrays) or "state_dict" in wrapper):
            return _unwrapped(inside)
    return arrays


def _modules(arrays: Mapping[str, Array]) -> tuple[Module, ...]:
    found: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        module, _, role = name.rpartition(".")
        if role not in IGNORED:
            found.setdefault(module, {})[role] = array
    return tuple(Module(name, own) for name, own in found.items())
