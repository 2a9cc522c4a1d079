"""Planted bugs, one at a time in a kernel, layer or pass, or in the C around the kernels. The cheapest tests of it are
run, and others where they notice nothing; what none notices is listed.

    python tests/mutations.py --count 160 --seed 11
    python tests/mutations.py --count 160 --seed 11 --numbers 37 41      # these again
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import dslc.layers
from dslc import registry
from dslc.compiler import check_text
from dslc.layers import Layer
from dslc.lowering.lower import lower
from helpers import REPO, example_statements
from mutants import Mutant, sample

Arguments = tuple[str, ...]
PASSES = "test_pass_decisions", "test_fusion", "test_memory", "test_copies"
OF_PASSES = {
    "recompute": ("test_recompute",),
    "small_batch": ("test_passes", "test_pass_decisions"),
    "pooling": ("test_passes",),
    "in_place": ("test_export",),
    "buckets": ("test_mpi",),
}
"""Passes that have tests of their own."""
AROUND = {
    "pool": ("test_pool",),
    "tools": ("test_kernels_simple", "test_activations"),
    "network": ("test_slices", "test_runtime"),
    "slices": ("test_slices",),
}
WIDER = {
    "kernels": ("test_kernels", "test_kernels_simple", "test_threads", "test_recurrent", "test_passes", "test_fuzz"),
    "layers": (
        "test_errors", "test_sequences", "test_recurrent", "test_arithmetic", "test_activations", "test_overrides",
        "test_lsp", "test_edges",
    ),
    "passes": ("test_passes", "test_plan_verifier", "test_planted_planner_faults", "test_threads", "test_fuzz"),
    "around": ("test_shared_code", "test_kernels", "test_threads"),
}  # fmt: skip
NOT_SLOW = ("-m", "not slow")
WATCHED: Arguments = ("-m", "sanitizers", "tests/test_targets.py", "-k")
RACES: Arguments = ("-m", "sanitizers", "tests/test_targets.py", "-k", "race")
OTHER_KINDS = {
    "update": "test_optimizers", "average": "test_average", "clip": "test_clip", "gradient_norm": "test_clip",
    "penalty": "test_optimizers", "regularizer": "test_optimizers", "max_norm": "test_max_norm",
    "trust": "test_optimizers", "batchnorm_running": "test_normalization", "fold": "test_passes",
    "bf16": "test_mixed", "widen_filters": "test_passes", "narrow_filters": "test_passes",
    "batchnorm_over_ranks": "test_mpi", "fake_quantize": "test_quantize_training",
    "slice_share": "test_slices", "accumulate": "test_slices",
    "finite_gradients": "test_divergence", "class_weights": "test_losses", "ctc": "test_ctc", "turn": "test_ties",
    "embedding": "test_embeddings", "standardize": "test_standardize", "unstandardize": "test_standardize_target",
    "spread_rows": "test_kernels_simple",
    "hinge": "test_losses", "dice": "test_losses", "soft_cross": "test_losses", "pixel_cross": "test_losses",
    "cross_entropy": "test_losses", "element_loss": "test_losses", "loss_sums": "test_losses",
    "total_loss": "test_losses", "count_": "test_losses", "rule": "test_optimizers",
}  # fmt: skip
"""Operations that are of no layer, by the beginning of their names, and the tests of them."""


@cache
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


def part_of(path: str) -> str:
    """What a file is, see `PARTS`."""
    return next((part for part in ("kernels", "layers", "passes") if f"/{part}/" in path), "around")


def first_tests(path: str) -> Arguments:
    """The arguments of pytest that run the cheapest tests of a file."""
    stem = Path(path).name.partition(".")[0]
    if part_of(path) == "passes":
        return files(OF_PASSES.get(stem, PASSES))
    if stem == "calls":
        return (*RACES[:-1], "race and lenet5")
    if part_of(path) == "around":
        return files(AROUND[stem])
    if part_of(path) == "layers":
        users = [f.stem for f in sorted((REPO / "dslc/layers").glob("[a-z]*.py")) if f"layers.{stem} " in f.read_text()]
        return examples_of([stem] if not stem.startswith("_") else users[:3])
    if stem.startswith("_") and (users := users_of(stem)):
        return first_tests(min(users, key=len))
    stem = stem.lstrip("_")
    other = next((test for start, test in OTHER_KINDS.items() if stem.startswith(start)), None)
    if other is not None:
        return files((other,))
    kinds = layers_of_kinds()
    known = sorted((k for k in kinds if stem.startswith(k)), key=len) or sorted(k for k in kinds if k.startswith(stem))
    return examples_of(kinds[known[-1]][:2]) if known else files(("test_kernels",))


def users_of(stem: str) -> list[str]:
    """The kernels that print a piece of a template."""
    texts = {f: f.read_text() for f in sorted((REPO / "templates/kernels").glob("*.j2")) if f.name[: len(stem)] != stem}
    return [str(f.relative_to(REPO)) for f, text in texts.items() if f'"kernels/{stem}.' in text]


def wider_tests(path: str) -> list[Arguments]:
    """Those that are run one after another where the first notice nothing: of its kind, the five files that speak of it
    most, sanitizers."""
    stem = Path(path).name.partition(".")[0].lstrip("_")
    words = {f: len(re.findall(rf"\b{stem}\b", f.read_text())) for f in (REPO / "tests").glob("test_*.py")}
    most = sorted((f for f in words if words[f]), key=lambda f: (-words[f], f.name))[:5]
    which = () if part_of(path) == "around" else NOT_SLOW
    of_kind = [(*which, file) for file in files(WIDER[part_of(path)])]
    watched = {"kernels": [watched_tests(path)], "layers": [], "passes": [RACES], "around": [RACES]}[part_of(path)]
    return [*of_kind, *[(*NOT_SLOW, f"tests/{f.name}") for f in most], *watched]


def watched_tests(path: str) -> Arguments:
    """The networks with a kernel's layers, or all losses, under the address sanitizer."""
    words = first_tests(path)[-1]
    parts = {f"layers{i % 6}" for i, name in enumerate(registry.names(dslc.layers)) if re.search(rf"\b{name}\b", words)}
    return (*WATCHED, f"native and watched and ({' or '.join(sorted(parts) or ('losses', 'tables'))})")


def files(names: tuple[str, ...]) -> Arguments:
    """Whole files of tests."""
    return tuple(f"tests/{name}.py" for name in names)


def examples_of(layers: list[str]) -> Arguments:
    """The examples of layers; where there is none, what all layers have in common is how their weights begin."""
    return ("tests/test_layers.py", "-k", f"({' or '.join(layers)}) and agrees") if layers else files(("test_inits",))


def checkout(folder: Path) -> None:
    """A copy of the project as a package, which tests import in place of the one that is installed."""
    for name in ("dslc", "tests", "specs", "benchmarks"):
        shutil.copytree(REPO / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "fuzz_found"))
    for name in ("runtime", "templates", "grammar", "specs", "docs"):
        shutil.copytree(REPO / name, folder / "dslc" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("docs", "templates"):
        (folder / name).symlink_to(folder / "dslc" / name)
    shutil.copy(REPO / "pyproject.toml", folder)


class Trial:
    """A copy of the project in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        checkout(folder)
        self.environment = {**os.environ, "PYTHONPATH": f"{folder}:{folder / 'tests'}", "DSLC_CACHE": f"{folder}/cache"}
        self.servers = {word: self._server(word) for word in ("warm", "cold")}

    def _server(self, word: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.folder / "tests/mutation_server.py"), word]
        pipe = subprocess.PIPE
        server = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdin=pipe, stdout=pipe, text=True)
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        return server

    def passes(self, arguments: Arguments, server: str) -> bool:
        """Whether tests pass. One that does not end, or crashes, has noticed something too.

        Raises:
            AssertionError: there are no such tests.
        """
        options = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-p", "compiled_quickly"]
        pipes = self.servers[server]
        assert pipes.stdin is not None and pipes.stdout is not None
        print(json.dumps([*options, *arguments]), file=pipes.stdin, flush=True)
        status = int(pipes.stdout.readline())
        assert status < 0 or status in (0, 1, 2, 4), f"{arguments}: {status}"
        return status == 0

    def notices(self, mutant: Mutant, arguments: Arguments) -> bool:
        """Whether tests fail with the change; that they pass without it is seen in the end."""
        file = self.folder / (mutant.path if mutant.path.startswith("dslc/") else f"dslc/{mutant.path}")
        before = file.read_text()
        file.write_text(mutant.text)
        try:
            return not self.passes(arguments, "cold" if mutant.path.endswith(".py") else "warm")
        finally:
            file.write_text(before)


def main() -> int:
    """Prints each mutant with the tests that noticed it, and the share that was noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--only", default="", help="a part of the file's path")
    parser.add_argument("--numbers", type=int, nargs="*", help="only these")
    parser.add_argument("--tests", choices=("first", "wider"), help="only the cheapest tests, or only the others")
    parser.add_argument("--trust", action="store_true", help="the tests have just passed without a change")
    given = parser.parse_args()
    chosen = dict(enumerate(sample(given.count, given.seed, given.only)))
    chosen = {number: mutant for number, mutant in chosen.items() if not given.numbers or number in given.numbers}
    with tempfile.TemporaryDirectory(prefix="dslc-mutants-") as name:
        trial = Trial(Path(name) / "project")
        missed = chosen
        if given.tests != "wider":
            missed = _tried(trial, missed, lambda path: [first_tests(path)])
        if given.tests != "first":
            missed = _tried(trial, missed, wider_tests)
        unchanged = {first_tests(mutant.path) for number, mutant in chosen.items() if number not in missed}
        failing = [] if given.trust else [some for some in sorted(unchanged) if not trial.passes(some, "warm")]
        assert not failing, f"these tests fail without a change: {failing}"
    print(f"{len(chosen) - len(missed)} of {len(chosen)} were noticed")
    return 0


def _tried(trial: Trial, chosen: dict[int, Mutant], tests: Callable[[str], list[Arguments]]) -> dict[int, Mutant]:
    """Those that the tests do not notice."""
    left = {}
    for number, mutant in chosen.items():
        by = next((some for some in tests(mutant.path) if trial.notices(mutant, some)), None)
        if by is None:
            left[number] = mutant
        print(f"{number} {'noticed' if by else 'MISSED'} {mutant.path}:{mutant.line}  {' '.join(by or ())}")
        print(f"    {mutant.before}\n    {mutant.after}", flush=True)
    return left


if __name__ == "__main__":
    sys.exit(main())
