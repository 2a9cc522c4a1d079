"""The node cases of the package onnx for operators that `dslc import` reads: each is imported and interpreted in NumPy,
or refused because the language lacks it. None may give something else than ONNX says."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.interchange.onnx_file import read_onnx
from dslc.interchange.translate import TRANSLATIONS, translated
from dslc.interchange.writer import written
from dslc.language.diagnostics import DataError
from dslc.proofs.reference import Interpreter
from helpers import REPO

onnx = pytest.importorskip("onnx")
Arrays = dict[str, np.ndarray]


@cache
def cases() -> dict[str, list]:
    """By operator, those with one node, of operators that are read."""
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = node.collect_testcases(None)
    by_kind: dict[str, list] = {}
    for case in found:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in TRANSLATIONS and not case.model.functions:
            by_kind.setdefault(nodes[0].op_type, []).append(case)
    return by_kind


def outcome(case: object, folder: Path) -> str:
    """`imported`, or why it is refused: with all inputs flowing, or only the first one."""
    inputs, outputs = case.data_sets[0]
    names = [value.name for value in case.model.graph.input]
    given = dict(zip(names, inputs, strict=False))
    wanted = dict(zip([value.name for value in case.model.graph.output], outputs, strict=False))
    said, done = "", False
    floating = [name for name in names if isinstance(given[name], np.ndarray) and given[name].dtype.kind == "f"]
    for flowing in {tuple(floating), tuple(floating[:1])} - {()}:
        path = folder / f"{case.name}.onnx"
        path.write_bytes(_with_constants(case.model, given, flowing))
        try:
            found = _run(path, {name: given[name] for name in flowing})
        except DataError as error:
            said = str(error)
            continue
        for name, array in found.items():
            np.testing.assert_allclose(array, wanted[name], case.rtol, max(case.atol, 1e-6), err_msg=case.name)
        done = True
    return "imported" if done else said or "no floating input"


def _with_constants(model: object, given: Arrays, flowing: tuple[str, ...]) -> bytes:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name, array in given.items():
        if name not in flowing:
            copy.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    return copy.SerializeToString()


def _run(path: Path, given: Arrays) -> Arrays:
    """What the imported network makes of the inputs, as ONNX has it."""
    found = translated(read_onnx(path))
    spec = written(found, "Case", "")
    network = check_text(spec.text)
    ours: Arrays = {}
    for name, x in found.inputs.items():
        flat = np.empty((len(given[name]), x.index.size))
        flat[:, x.index.ravel()] = given[name].reshape(len(flat), -1)
        ours[spec.inputs[name]] = flat.reshape(len(flat), *x.shape)
    predicted = Interpreter(network, {n: np.asarray(a, np.float64) for n, a in spec.parameters.items()}).predict(ours)
    batch = len(next(iter(ours.values())))
    return {
        end.name: predicted[spec.outputs[end.name]].reshape(batch, -1)[:, end.value.index.ravel()].reshape(
            batch, *end.value.index.shape)
        for end in found.ends
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_node_cases(tmp_path: Path) -> None:
    """Their number is in docs/interchange.md."""
    said = Counter()
    for kind, of_kind in cases().items():
        for case in of_kind:
            result = outcome(case, tmp_path)
            said["imported" if result == "imported" else "refused"] += 1
            assert result == "imported" or "\n" in result or "the input" in result or "no " in result, (kind, result)
    page = (REPO / "docs" / "interchange.md").read_text()
    (counts,) = re.findall(r"Of (\d+) node cases (\d+) are imported", page)
    assert (said.total(), said["imported"]) == tuple(map(int, counts))
