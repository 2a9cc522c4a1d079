"""Run folders that must be the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file


def assert_same_run(found: Path, wanted: Path, arrays: Sequence[str] = ("weights.safetensors",)) -> None:
    """All files of two runs, but for times in them, and the command: that of a resumed run says so. arrays: those of
    which every array is compared."""
    assert {p.name for p in found.iterdir()} == {p.name for p in wanted.iterdir()}
    for name in ("spec.net", "split.json"):
        assert (found / name).read_bytes() == (wanted / name).read_bytes(), name
    assert _metadata(found) == _metadata(wanted)
    for name in arrays:
        held = [load_file(run / name) for run in (found, wanted)]
        assert held[0].keys() == held[1].keys()
        for key, array in held[1].items():
            np.testing.assert_array_equal(held[0][key], array)
    tables = [np.genfromtxt(run / "history.csv", delimiter=",", names=True) for run in (found, wanted)]
    for column in set(tables[1].dtype.names) - {"seconds"}:
        np.testing.assert_array_equal(tables[0][column], tables[1][column])


def _metadata(run: Path) -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads((run / "run.json").read_text())
    metadata["environment"].pop("command", None)
    return metadata
