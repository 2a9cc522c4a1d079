"""A model of ONNX or Darknet as a spec and weights: the whole import."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dslc.compiler import check_text
from dslc.interchange.checking import difference
from dslc.interchange.darknet import translated_darknet
from dslc.interchange.darknet_file import Numbers, read_sections
from dslc.interchange.onnx_file import read_onnx, with_size
from dslc.interchange.translate import Translated, translated
from dslc.interchange.writer import Written, written
from dslc.ir import Network
from dslc.language.diagnostics import DataError, SpecError
from dslc.runtime.data.schema import Schema
from dslc.shape import Shape


@dataclass(frozen=True)
class Imported:
    """A spec with its parameters, the network that it is, how much its results differ from the model's (None where
    there is nothing to run that), and the outputs that are left out because they only pick a class."""

    written: Written
    network: Network
    difference: float | None
    left: tuple[str, ...]
    schema: Schema


def import_onnx(path: Path, name: str, size: Shape | None = None) -> Imported:
    """The network in a file of ONNX, compared with it on random inputs. size: that of an example, for inputs whose size
    the model leaves free.

    Raises:
        DataError: it cannot be read, the language lacks something of it (all such nodes are listed), or the result
            differs from the model.
        UsageError: the package onnx is not installed.
    """
    graph = read_onnx(path)
    if size is not None:
        graph = with_size(graph, size)
    found = translated(graph)
    spec, network = _checked(found, path, name)
    return Imported(spec, network, difference(path, graph, found, spec, network), found.left, Schema())


def import_darknet(path: Path, weights: Path, name: str, size: Shape | None = None) -> Imported:
    """The classifier of a .cfg and a .weights of Darknet. size: that of an image, in place of the one in the .cfg.

    Raises:
        DataError: they cannot be read, do not belong together, or the language lacks a section; which one is told.
    """
    found = translated_darknet(read_sections(path), Numbers(weights), size)
    spec, network = _checked(found, path, name)
    return Imported(spec, network, None, (), Schema())


def _checked(found: Translated, path: Path, name: str) -> tuple[Written, Network]:
    spec = written(found, net_name(name), f"Imported from {path.name}.")
    try:
        return spec, check_text(spec.text)
    except SpecError as error:
        raise DataError(f"{path} becomes a spec that is wrong, which is a fault of dslc:\n{spec.text}{error}") from None


def net_name(name: str) -> str:
    """A name of the language from that of a file: `resnet-18.v1` gives `resnet_18_v1`."""
    found = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    return found if re.match(r"[A-Za-z]", found) else f"Net{found}"
