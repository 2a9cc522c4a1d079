"""The same seed gives the same bits: with 1, 2, 3 and 8 threads, in the epoch loop, step by step, in another process
and for several versions of a compiler; for every spec that ships."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dslc.codegen import build
from helpers import SPECS
from reproducible import Hashes, hashes

FLAGS = "-O1 -fno-lto"
"""Compiles in half the time of -O3; a*b + c becomes one instruction here too."""
SMALL = [path.stem for path in SPECS if path.stem not in ("alexnet", "vgg16", "vgg19")]
ZOO = ["gru_classifier", "tiny_dscnn"]
"""Of the published networks one of each kind that compiles quickly; `make reproducible` has all."""
SCRIPT = Path(__file__).with_name("reproducible.py")


def in_another_process(names: list[str], threads: int, **setting: str) -> Hashes:
    command = [sys.executable, str(SCRIPT), "--threads", str(threads), "--only", ",".join(names)]
    environment = {**os.environ, build.EXTRA_FLAGS: FLAGS, **setting}
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return dict(re.findall(r"^(\w+) +(\w+) ", printed, re.MULTILINE))


@pytest.mark.parametrize("names", [["lenet5", "mlp_batchnorm"], pytest.param([*SMALL, *ZOO], marks=pytest.mark.slow)])
def test_threads_loop_and_process(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan for one thread here, one for eight that 1, 2, 3 and 8 carry out there."""
    monkeypatch.setenv(build.EXTRA_FLAGS, FLAGS)
    here = hashes(names, 1, (1,))
    assert sorted(here) == sorted(names)
    assert in_another_process(names, 8) == here


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("gcc") or not shutil.which("gcc-11"), reason="needs two versions of gcc")
def test_two_versions_of_a_compiler() -> None:
    names = ["lenet5", "residual", "mlp_batchnorm", "multitask"]
    assert in_another_process(names, 2, CC="gcc") == in_another_process(names, 2, CC="gcc-11")
