"""Weights and checkpoints carry a checksum: damage is noticed wherever it is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import dslc
from dslc.language.diagnostics import DataError
from dslc.runtime.model import Model
from dslc.runtime.training.weights import read_arrays

SPEC = """net Tiny {
  input x: 2
  dense(2) -> softmax
}
train {
  loss      cross_entropy
  optimizer sgd(lr=0.1)
  batch     4
  epochs    1
}
"""


@pytest.fixture(scope="module")
def model() -> Model:
    trained = dslc.loads(SPEC)
    trained.fit(np.eye(2, dtype=np.float32), np.array([0, 1]))
    return trained


@pytest.mark.parametrize("kind", ["weights", "checkpoint"])
def test_any_flipped_bit_is_noticed(kind: str, model: Model, tmp_path: Path) -> None:
    """In every byte of the file: header, spec, checksum, arrays."""
    path = tmp_path / "file"
    (model.save if kind == "weights" else model.checkpoint)(path)
    whole, draw = path.read_bytes(), random.Random(1)
    read_arrays(path)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"cannot read|damaged"):
            read_arrays(path)


def test_a_file_that_was_cut_or_grew_is_noticed(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "file"
    model.checkpoint(path)
    whole = path.read_bytes()
    for data in (*(whole[:size] for size in range(0, len(whole), 37)), whole + b"\0"):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"cannot read|damaged"):
            dslc.loads(SPEC).resume(path)


def test_damaged_weights_are_not_loaded(model: Model, tmp_path: Path) -> None:
    """A bit of a weight: nothing else would tell."""
    path = tmp_path / "w"
    model.save(path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="w is damaged: what it holds does not match its checksum"):
        dslc.loads(SPEC).load_weights(path)


def test_files_of_other_programs_have_none(model: Model, tmp_path: Path) -> None:
    """They are read as they are, also if a text of theirs mentions one."""
    save_file({n: v.numpy() for n, v in model.parameters.items()}, tmp_path / "w", {"note": "has no sha256: sorry"})
    dslc.loads(SPEC).load_weights(tmp_path / "w")


def test_a_spec_that_holds_what_a_checksum_looks_like(tmp_path: Path) -> None:
    entry = json.dumps({"checksum": "sha256:" + "0" * 64})
    model = dslc.loads(f"# {entry}\n{SPEC}")
    model.save(tmp_path / "w")
    dslc.loads(SPEC).load_weights(tmp_path / "w")
