"""Weights of any program into a network."""

from __future__ import annotations

from pathlib import Path

from dslc.derived import unrounded
from dslc.interchange.foreign import SUFFIXES, read_foreign
from dslc.interchange.matching import Matched, matched
from dslc.ir import Network
from dslc.json_text import parsed
from dslc.language.diagnostics import DataError
from dslc.runtime.data.files import reported
from dslc.runtime.model import Model
from dslc.runtime.training.weights import read_arrays


def is_ours(path: Path, network: Network) -> bool:
    """Whether a file has the names and shapes of the language, as `save` writes it."""
    if path.suffix != ".safetensors":
        return path.suffix not in SUFFIXES
    arrays, metadata = read_arrays(path)
    return "spec" in metadata or {n: a.shape for n, a in arrays.items()} == {
        p.name: p.shape for p in network.parameters
    }


def weights_for(network: Network, path: Path, mapping: Path | None = None) -> Matched:
    """The parameters of a network from a file of PyTorch or Keras. mapping: a JSON file of modules by layers.

    Raises:
        DataError: a file cannot be read, or does not fit; the message lists what does not.
        UsageError: it is one of Keras, and h5py is not installed.
    """
    return matched(unrounded(network), read_foreign(path), None if mapping is None else read_mapping(mapping))


def read_mapping(path: Path) -> dict[str, str]:
    """Modules by layers: {"conv1": "features.0", ...}. Raises DataError if the file is something else."""
    with reported(path):
        try:
            given = parsed(path.read_text("utf-8"))
        except ValueError as error:
            raise DataError(f"cannot read {path}: {error}") from None
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        raise DataError(f'{path} should say which module a layer is: {{"conv1": "features.0", ...}}')
    return given


def load_into(model: Model, path: Path) -> None:
    """Sets all parameters of a model, from a file that `save` wrote or one of another program.

    Raises:
        DataError: it cannot be read, or does not fit.
        UsageError: it is one of Keras, and h5py is not installed.
    """
    if is_ours(path, model.network):
        model.load_weights(path)
    else:
        model.take_weights(weights_for(model.network, path).arrays)
