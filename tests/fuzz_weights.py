"""libFuzzer, of clang, on the loader of weights in exported C: `python tests/fuzz_weights.py --minutes 10`. What it
finds is left beside as `crash-...`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from dslc.export.network import Wishes
from dslc.target import TARGETS
from exporting import Export, export, run_compiler

HERE = Path(__file__).parent
SPEC = "net Small {\n  input x: 3\n  dense(4) -> tanh -> dense(2)\n}\n"
SANITIZERS = ("-O1", "-g1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")


def is_there() -> bool:
    """Whether clang and its runtime for libFuzzer are installed."""
    if shutil.which("clang") is None:
        return False
    done = subprocess.run(["clang", "-print-resource-dir"], capture_output=True, text=True, check=False)
    return any(Path(done.stdout.strip()).rglob("libclang_rt.fuzzer*.a"))


def fuzzer(folder: Path) -> tuple[Path, Path]:
    """The program, and a folder with a file of weights that it takes and one that ends before its time."""
    found: Export = export(SPEC, Wishes(TARGETS["generic"], embed=False), folder, np.random.default_rng(0))
    made, corpus = folder / "fuzzer", folder / "corpus"
    names = ("-DNET=small", "-DUPPER=SMALL", "-DREAL=float", "-include", str(folder / "small.h"))
    sources = (str(HERE / "fuzz_weights.c"), str(found.source))
    run_compiler("clang", "-std=gnu99", *SANITIZERS, *names, *sources, "-lm", "-o", str(made))
    corpus.mkdir()
    whole = found.weights.read_bytes()
    for name, data in (("whole", whole), ("short", whole[:-1]), ("empty", b"")):
        (corpus / name).write_bytes(data)
    return made, corpus


def main() -> int:
    """Exit code 1 where something was found."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, corpus = fuzzer(Path(folder))
        limits = (f"-max_total_time={max(1, int(60 * given.minutes))}", f"-seed={given.seed}", "-max_len=512")
        return int(subprocess.run([made, *limits, corpus], check=False).returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
