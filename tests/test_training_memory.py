"""The peak of a whole training beside PyTorch's, in fresh processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers import REPO

pytest.importorskip("torch")


@pytest.mark.slow
@pytest.mark.torch
def test_a_training_takes_at_most_three_fifths_of_pytorchs_memory() -> None:
    """ResNet-18 at its published size; `python benchmarks/training_memory.py` measures larger ones too."""
    program = str(REPO / "benchmarks" / "training_memory.py")
    done = subprocess.run([sys.executable, program, "zoo/resnet18:16"], capture_output=True, text=True, check=True)
    announced, ours, theirs, ratio = map(float, done.stdout.splitlines()[-1].split()[1:])
    assert announced < ours < 1.2 * announced and theirs > 0
    assert ratio <= 0.6
