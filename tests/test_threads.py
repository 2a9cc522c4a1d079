"""Any number of threads gives the same bits; a forked process can predict."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.compiler import check_file, plan_network
from dslc.operation import Tensor
from dslc.plan import Kernel, Plan, PlannedStep
from helpers import NETWORKS, REPO, SPECS, data

pytestmark = pytest.mark.optimized


@pytest.mark.parametrize("name", ["lenet5", "residual", "mlp_batchnorm", *NETWORKS])
def test_the_same_bits_with_any_number_of_threads(name: str, rng: np.random.Generator) -> None:
    """Five steps on full mini-batches and parts of one: losses, parameters, predictions and evaluation."""
    text = NETWORKS.get(name) or (REPO / "specs" / f"{name}.net").read_text()
    models = {n: dslc.loads(text, threads=n) for n in (1, 2, 3)}
    full = models[1].batch
    batches = [data(models[1].network, n, rng, "float32") for n in (full, full, full // 2 + 5, 2, full)]
    more = data(models[1].network, 150, rng, "float32")
    start = models[1].copy_weights()
    results = {}
    for threads, model in models.items():
        losses = [model.train_step(*batch) for batch in batches]
        weights = {p: w.tobytes() for p, w in model.copy_weights().items()}
        results[threads] = (losses, weights, model.predict(more[0]).tobytes(), model.evaluate(*more))
    assert np.isfinite(results[1][0]).all()
    assert all(start[p].tobytes() != weight for p, weight in results[1][1].items())
    assert results[2] == results[1]
    assert results[3] == results[1]


def test_fewer_threads_than_were_planned(rng: np.random.Generator) -> None:
    """A machine may give fewer: nobody waits for those who do not come, and the bits are the same."""
    model = dslc.loads(NETWORKS["filters"], threads=3)
    sharing = [k for s in model.plan.steps for k in s.kernels if k.operation.kind == "winograd_weight_products"]
    assert sharing and all(k.parallel and k.variant.context["chunks"] == 1 for k in sharing)
    start, batch = model.copy_weights(), data(model.network, model.batch, rng, "float32")
    results = []
    for threads in (1, 2, 3):
        model.compiled.net.threads = threads
        model.restore_weights(start)
        loss = model.train_step(*batch)
        results.append((loss, {name: w.tobytes() for name, w in model.copy_weights().items()}))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_threads_meet_around_shared_work(spec: Path) -> None:
    """Between two barriers no byte is written by one kernel and touched by another, unless the first thread runs both.

    Every byte is looked up in the plan: also two tensors that share memory one after the other."""
    plan = plan_network(check_file(spec), threads=2)
    barriers = 0
    for step in plan.steps:
        for phase in step.phases:
            running = [kernel for kernel in phase.kernels if kernel.variant.name != "alias"]
            assert not running or running[-1].barrier
            since: list[Kernel] = []
            for kernel in running:
                for earlier in since:
                    if kernel.parallel or earlier.parallel:
                        for written, touched in ((earlier, kernel), (kernel, earlier)):
                            writes = memory(plan, step, written.operation.writes)
                            reads = memory(plan, step, (*touched.operation.reads, *touched.operation.writes))
                            assert not any(overlap(w, r) for w in writes for r in reads), (earlier, kernel)
                since = [] if kernel.barrier else [*since, kernel]
                barriers += kernel.barrier
    assert barriers


def memory(plan: Plan, step: PlannedStep, tensors: tuple[Tensor, ...]) -> list[tuple[object, int, int]]:
    """Where tensors lie: those of the caller by name, all others in the arena."""
    found: list[tuple[object, int, int]] = []
    for tensor in tensors:
        buffer = step.workspace.get(tensor.name) or plan.kept.get(tensor.name)
        found.append(("arena", buffer.offset, buffer.offset + buffer.elements) if buffer else (tensor.name, 0, 1))
    return found


def overlap(a: tuple[object, int, int], b: tuple[object, int, int]) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]


def test_threads_are_really_used(rng: np.random.Generator) -> None:
    """The C runs with as many threads as asked for: else the test above would compare one thread with itself."""
    model = dslc.load(REPO / "specs" / "lenet5.net", threads=3)
    model.predict(data(model.network, 64, rng)[0])
    assert len(os.listdir("/proc/self/task")) >= 3


@pytest.mark.parametrize("threads", [1, 2])
def test_predicts_in_a_forked_process(threads: int, rng: np.random.Generator) -> None:
    """Threads do not survive a fork; the child starts its own."""
    model = dslc.load(REPO / "specs" / "lenet5.net", threads=threads)
    xs, ys = data(model.network, 100, rng)
    wanted = model.predict(xs)
    step = {name: x[:64] for name, x in xs.items()}, {name: y[:64] for name, y in ys.items()}
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            same = np.array_equal(model.predict(xs), wanted)
            code = 0 if same and np.isfinite(model.train_step(*step)) else 1
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert np.array_equal(model.predict(xs), wanted)


def test_rejects_no_threads() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        dslc.load(REPO / "specs" / "lenet5.net", threads=0)
