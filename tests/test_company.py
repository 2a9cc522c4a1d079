"""In company: other libraries' OpenMP runtimes in the process, and processes that are spawned and not forked."""

from __future__ import annotations

import hashlib
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest

import dslc

SPEC = """net Company {
  input x: 40
  dense(300) -> relu -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  batch 60
}
"""
BESIDE = """
import sys, threading
import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
sys.path[:0] = %r
from test_company import SPEC, trained
import dslc

runtimes = {line.split("/")[-1].strip() for line in open("/proc/self/maps") if "gomp" in line or "iomp" in line}
assert len(runtimes) >= 2, runtimes
torch.set_num_threads(2)
x = np.random.default_rng(1).random((4000, 40))
stop = threading.Event()

def others():
    while not stop.is_set():
        torch.nn.functional.conv2d(torch.ones(8, 8, 32, 32), torch.ones(8, 8, 3, 3))
        HistGradientBoostingClassifier(max_iter=1).fit(x, x[:, 0] > 0.5)

worker = threading.Thread(target=others)
worker.start()
try:
    print(*(trained() for _ in range(3)))
finally:
    stop.set()
    worker.join()
"""


def trained() -> str:
    """A hash of the predictions after two epochs."""
    draw = np.random.default_rng(0)
    x, y = draw.random((600, 40), np.float32), draw.integers(0, 3, 600)
    model = dslc.loads(SPEC, threads=2)
    model.fit(x, y, epochs=2)
    return hashlib.sha256(model.predict(x).tobytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.torch
def test_beside_two_openmp_runtimes() -> None:
    """PyTorch's and scikit-learn's, which are at work meanwhile."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    call = [sys.executable, "-c", BESIDE % sys.path]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [trained()] * 3


@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_processes_that_are_not_forked(how: str) -> None:
    with multiprocessing.get_context(how).Pool(1) as pool:
        assert pool.apply(trained) == trained()
