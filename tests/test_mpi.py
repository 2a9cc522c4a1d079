"""Training on several ranks of MPI: what one rank computes, and no rank that waits for ever for another."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslc
from dslc import registry
from dslc.cli.ranks import only_first_speaks
from dslc.compiler import check_text, plan_network
from dslc.optimizers import Optimizer
from dslc.passes import buckets
from dslc.planning.verifier import verify_plan

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def mpiexec() -> Path:
    """The program of the wheel `mpich`."""
    for package in ("mpi4py", "mpich"):
        if not importlib.util.find_spec("mpi4py") or not _installed(package):
            reason = f"not installed: {package}"
            pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)
    files = importlib.metadata.files("mpich") or ()
    return Path(str(next(f for f in files if f.name == "mpiexec").locate())).resolve()


def _installed(package: str) -> bool:
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


def run(mpiexec: Path, ranks: int, *program: str | Path) -> subprocess.CompletedProcess[str]:
    """A program of Python on several ranks; in a venv that only borrows packages the library is beside `mpiexec`."""
    library = mpiexec.parent.parent / "lib"
    paths = [str(library), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(paths), "PYTHONPATH": str(HERE.parent)}
    call = [str(mpiexec), "-n", str(ranks), sys.executable, *map(str, program)]
    return subprocess.run(call, check=False, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.parametrize(
    ("check", "lines"),
    [
        ("layers", 2),
        ("own_statistics", 1),
        ("rounds", 1),
        ("ordered", 2),
        ("in_slices", 2),
        ("refused", 1),
        ("sources", 4),
        pytest.param("optimizers", len(registry.every(dslc.optimizers, Optimizer)), marks=pytest.mark.slow),
        ("resumed", 1),
    ],
)
def test_ranks_train_what_one_trains(mpiexec: Path, tmp_path: Path, check: str, lines: int) -> None:
    done = run(mpiexec, 3, HERE / "ranks.py", check, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == lines, done.stdout


@pytest.mark.parametrize(
    ("how", "told"), [("killed", "Killed (signal 9)"), ("raised", "rank 0 of 3: the disk is full")]
)
def test_nobody_waits_for_a_rank_that_fails(mpiexec: Path, how: str, told: str) -> None:
    done = run(mpiexec, 3, HERE / "ranks.py", how)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr
    assert time.time() - float(done.stdout.splitlines()[0]) < 10


def test_a_command_on_two_ranks(mpiexec: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """One of them shows and writes; an error is told once."""
    spec, data = tmp_path / "tiny.net", tmp_path / "tiny.npz"
    spec.write_text(
        "net T {\n input x: 4\n dense(3) -> softmax\n}\n"
        "train {\n loss cross_entropy\n optimizer sgd(0.1)\n batch 8\n epochs 2\n}\n"
    )
    np.savez(data, x=rng.normal(size=(60, 4)).astype(np.float32), y=np.arange(60) % 3)
    command = ["-m", "dslc", "train", spec, "--data", data, "--progress", "plain", "--run"]
    done = run(mpiexec, 2, *command, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "tiny.net", "tiny.npz"]
    judged = run(mpiexec, 2, "-m", "dslc", "evaluate", tmp_path / "run")
    assert judged.stdout.count("loss ") == judged.stderr.count("judged on ") == 1
    again = run(mpiexec, 2, *command, tmp_path / "run")
    assert again.returncode != 0
    assert again.stderr.count("exists already") == 1


class Written(io.BytesIO):
    """A file that remembers what was written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []

    def write(self, part: Any) -> int:
        self.parts.append(bytes(part))
        return len(part)


def test_rank_0_speaks_by_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher mixes output and messages as they come."""
    for name, value in (("PMI_RANK", "0"), ("PMI_SIZE", "2")):
        monkeypatch.setenv(name, value)
    out, err = Written(), Written()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, write_through=True))
    only_first_speaks()
    print("loss 0.5")
    print("33", "examples", file=sys.stderr)
    assert (out.parts, err.parts) == ([b"loss 0.5\n"], [b"33 examples\n"])


STUCK = """
import hashlib
from dslc.runtime.native.held_signals import HeldSignals
with HeldSignals().held():
    print("held", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # as MPI: Python answers no signal meanwhile
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_rank_that_is_stuck(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as stuck:
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == "held\n"
        for _ in range(2):  # both are one: a terminal and `mpiexec` send it
            stuck.send_signal(number)
            time.sleep(0.1)
        time.sleep(1.1)
        assert stuck.poll() is None
        stuck.send_signal(number)
        try:
            assert stuck.wait(10) == 128 + number
        finally:
            stuck.kill()


def test_sums_begin_in_the_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gradient is in one bucket, and buckets are full or the last."""
    text = "net N {\n input x: 20\n dense(30) -> relu -> dense(40) -> relu -> dense(3) -> softmax\n}\n"
    network = check_text(text + "train {\n loss cross_entropy\n optimizer adam(0.01)\n batch 8\n}\n")
    for numbers, expected in ((1 << 20, [[123, 1240, 630]]), (1000, [[123, 1200], [40, 630]])):
        monkeypatch.setattr(buckets.sum_in_buckets, "__defaults__", (numbers,))
        plan = plan_network(network, batch=4, over_ranks=True)
        verify_plan(plan)
        begun = [op for op in plan.graph.train.operations if op.kind == "begin_sum"]
        names = [t.name for op in begun for t in op.reads]
        assert sorted(names) == sorted(t for t in plan.kept if t.endswith("_grad"))
        sizes = [sum(t.elements for t in op.reads) for op in begun]
        assert sizes == [sum(part) for part in expected]


def test_the_recipe_for_kubernetes() -> None:
    """The job of docs/scaling.md has the operator's fields, ranks for all workers, and volumes that are there."""
    jsonschema, yaml = pytest.importorskip("jsonschema"), pytest.importorskip("yaml")
    (text,) = re.findall(r"```yaml\n(.*?)```", (HERE.parent / "docs" / "scaling.md").read_text(), re.DOTALL)
    job, schema = yaml.safe_load(text), json.loads((HERE / "mpijob.schema.json").read_text())
    jsonschema.validate(job, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job | {"spec": job["spec"] | {"slotPerWorker": 1}}, schema)
    replicas = job["spec"]["mpiReplicaSpecs"]
    assert f"mpiexec -n {replicas['Worker']['replicas'] * job['spec']['slotsPerWorker']} " in text
    for replica in replicas.values():
        pod = replica["template"]["spec"]
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
