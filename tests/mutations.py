"""Planted bugs, one at a time in a template, layer or pass: a sign that is flipped, a term or barrier that is dropped,
a bound that is moved. The cheapest tests that concern it are run; what they do not notice is listed.

    python tests/mutations.py --count 40 --seed 1
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import tokenize
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import dslc.layers
from dslc import registry
from dslc.compiler import check_text
from dslc.layers import Layer
from dslc.lowering.lower import lower
from helpers import REPO, example_statements

CHANGES = {"+": "-", "-": "+", "*": "/", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+=": "-=", "True": "False"}
PATIENCE_SECONDS = 400
PARTS = {"templates/kernels": "*.j2", "dslc/layers": "*.py", "dslc/passes": "*.py"}
OF_PASSES = ("test_passes", "test_plan_verifier", "test_threads", "test_fusion")
OTHER_KINDS = {
    "update": "test_optimizers", "average": "test_average", "clip": "test_clip", "gradient_norm": "test_clip",
    "penalty": "test_optimizers", "regularizer": "test_optimizers", "max_norm": "test_max_norm",
    "trust": "test_optimizers", "batchnorm_running": "test_normalization", "fold": "test_passes",
    "slice_share": "test_slices", "accumulate": "test_slices",
    "finite_gradients": "test_divergence", "class_weights": "test_losses", "ctc": "test_ctc", "turn": "test_ties",
    "embedding": "test_embeddings", "standardize": "test_standardize", "unstandardize": "test_standardize_target",
}  # fmt: skip
"""Operations that are of no layer, by the beginning of their names, and the tests of them."""


@dataclass(frozen=True)
class Mutant:
    """A file with one change."""

    path: str
    line: int
    before: str
    after: str
    text: str


def mutants(path: Path) -> list[Mutant]:
    """All changes of a file that are tried."""
    text = path.read_text()
    spots = _of_python(text) if path.suffix == ".py" else _of_template(text)
    name, found = str(path.relative_to(REPO)), []
    for begin, end, new in spots:
        changed = text[:begin] + new + text[end:]
        line = text.count("\n", 0, begin)
        if "Example(" in text.splitlines()[line] or text.splitlines()[line].startswith("@"):
            continue  # another example is no bug, nor is a class that is not frozen
        pair = text.splitlines()[line].strip(), changed.splitlines()[line].strip()
        found.append(Mutant(name, line + 1, *pair, changed))
    return found


def _of_python(text: str) -> list[tuple[int, int, str]]:
    starts = [0]
    for row in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        spaced = token.string not in "+-*" or text[end : end + 1] == " "  # no signs, no *arguments
        if token.type in (tokenize.OP, tokenize.NAME) and token.string in CHANGES and spaced:
            found.append((begin, end, CHANGES[token.string]))
        if token.type == tokenize.NUMBER and token.string.isdecimal():
            found.append((begin, end, str(int(token.string) + 1)))
    return found


def _of_template(text: str) -> list[tuple[int, int, str]]:
    """In the C, not in its comments, nor in what belongs to jinja2."""
    hidden = [m.span() for m in re.finditer(r"/\*.*?\*/|\{[%#].*?[%#]\}|\{\{.*?\}\}", text, re.DOTALL)]
    found = [(m.start(1), m.end(1), CHANGES[m[1]]) for m in re.finditer(r" (\+=|[<>]=?|[-+*]) ", text)]
    found += [(m.start(), m.end(1), "") for m in re.finditer(r" \+ [\w.]+(\[\w+\])?(?=;)", text)]
    found += [(m.start(), m.end(), "0 <") for m in re.finditer(r"\w+ < (?=n\b)", text)]
    return [spot for spot in found if not any(a <= spot[0] < b for a, b in hidden)]


def layers_of_kinds() -> dict[str, list[str]]:
    """Which layers' examples use an operation, by its kind."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, layer in registry.every(dslc.layers, Layer).items():
        for example in layer.examples:
            lines = sorted(example_statements(example), key=lambda line: not line.startswith("input"))
            text = "net Of {\n  " + "\n  ".join(lines) + "\n}\ntrain {\n  loss mse\n  optimizer sgd(0.1)\n  batch 5\n}"
            for step in lower(check_text(text)).steps:
                for op in step.operations:
                    found[op.kind].add(name)
    return {kind: sorted(names, key=lambda n: (not kind.startswith(n), -len(n), n)) for kind, names in found.items()}


def tests_of(mutant: Mutant, kinds: dict[str, list[str]]) -> list[str]:
    """The arguments of pytest that run the cheapest tests of what was changed."""
    stem = Path(mutant.path).name.partition(".")[0]
    if "/passes/" in mutant.path:
        return [f"tests/{name}.py" for name in OF_PASSES]
    if "/layers/" in mutant.path and not stem.startswith("_"):
        return ["tests/test_layers.py", "-k", f"{stem} and agrees"]
    kind = next((k for k in sorted(kinds, key=len, reverse=True) if stem.lstrip("_").startswith(k)), None)
    other = next((test for start, test in OTHER_KINDS.items() if stem.startswith(start)), None)
    if other is not None:
        return [f"tests/{other}.py"]
    if kind is not None:
        return ["tests/test_layers.py", "-k", f"({' or '.join(kinds[kind][:2])}) and agrees"]
    if "loss" in stem or stem in ("hinge", "dice", "soft_cross_entropy", "pixel_cross_entropy", "cross_entropy"):
        return ["tests/test_losses.py"]
    return ["tests/test_layers.py"]


def checkout(folder: Path) -> None:
    """A copy of the project as a package, which tests import in place of the one that is installed."""
    for name in ("dslc", "tests", "specs"):
        shutil.copytree(REPO / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "fuzz_found"))
    for name in ("runtime", "templates", "grammar", "specs", "docs"):
        shutil.copytree(REPO / name, folder / "dslc" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "pyproject.toml", folder)


def noticed(mutant: Mutant, folder: Path, arguments: list[str]) -> bool:
    """Whether the tests fail with the change; a test that does not end has noticed it too."""
    inside = mutant.path if mutant.path.startswith("dslc/") else f"dslc/{mutant.path}"
    file = folder / inside
    before = file.read_text()
    file.write_text(mutant.text)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not torch"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "DSLC_CFLAGS": "-O0 -fno-lto"}
    environment |= {"DSLC_CACHE": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        command = [sys.executable, "-m", "pytest", *options, *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert done.returncode in (0, 1, 2), done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:]
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(before)


def main() -> int:
    """Prints each mutant with the tests that were run, and the share that was noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a part of the file's path")
    given = parser.parse_args()
    draw, kinds = random.Random(given.seed), layers_of_kinds()
    files = [f for part, ending in PARTS.items() for f in sorted((REPO / part).glob(ending)) if given.only in str(f)]
    chosen = [found for f in draw.sample(files, min(given.count, len(files))) if (found := mutants(f))]
    survivors, tried = [], 0
    with tempfile.TemporaryDirectory(prefix="dslc-mutants-") as name:
        folder = Path(name) / "project"
        folder.mkdir()
        checkout(folder)
        for of_file in chosen:
            mutant = draw.choice(of_file)
            arguments = tests_of(mutant, kinds)
            caught = noticed(mutant, folder, arguments)
            tried += 1
            survivors += [] if caught else [mutant]
            print(f"{'caught' if caught else 'MISSED'} {mutant.path}:{mutant.line}  {' '.join(arguments)}")
            print(f"    {mutant.before}\n    {mutant.after}", flush=True)
    print(f"{tried - len(survivors)} of {tried} were noticed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
