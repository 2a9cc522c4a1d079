"""The memory of a process that loads, trains, judges and saves a network, beside what `dslc check` announces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dslc.compiler import check_text, plan_network
from dslc.layout import Layout

LARGE = """
net Large {
  input x: 1500
  dense(3000) -> relu
  dense(3000) -> relu
  dense(10) -> softmax
}
train {
  loss      cross_entropy
  optimizer momentum(lr=0.01)
  batch     8
  epochs    1
}
"""
PROGRAM = """
import re, sys
import numpy as np
import dslc

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

random = np.random.default_rng(0)
x, y = random.random((16, 1500), np.float32), np.arange(16) % 10
dslc.loads("net Tiny { input x: 2\\n dense(2) -> softmax }")  # what is loaded once
before = peak()
model = dslc.loads(sys.argv[1])
loaded = peak() - before
model.fit(x, y, dev=(x, y))
trained = peak() - before
model.checkpoint(sys.argv[2])
model.save(sys.argv[2])
print(loaded, trained, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are read from /proc")
def test_peaks(tmp_path: Path) -> None:
    """Loading takes what prediction does and one parameter; training what `check` announces, with one copy of the best
    weights; files are written a piece at a time."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, LARGE, f"{tmp_path}/file"], capture_output=True, text=True, check=True
    )
    loaded, trained, saved = map(int, done.stdout.split())
    network = check_text(LARGE)
    plan = plan_network(network)
    largest, announced = 4 * 3000 * 3000, plan.arena_bytes(training=True) + plan.weights_bytes
    room = 16 << 20
    assert loaded < plan.arena_bytes(training=False) + largest + room
    assert trained < announced + room
    assert saved < announced + room


@pytest.mark.parametrize("shape", [(8, 3), (10, 3), (3, 3, 2, 8), (3, 3, 2, 5), (1, 7)])
def test_blocks(shape: tuple[int, ...]) -> None:
    """An axis in blocks of four: element by element as the layout says, and back."""
    for axis in (0, len(shape) - 1):
        layout = Layout(shape, axis, 4)
        array = np.random.default_rng(0).random(shape)
        stored = layout.pack(array).reshape(layout.stored)
        seen = np.zeros(layout.stored, bool)
        for index in np.ndindex(shape):
            block, place = divmod(index[axis], 4)
            at = (block, *index[:axis], *index[axis + 1 :], place)
            assert stored[at] == array[index]
            seen[at] = True
        assert not stored[~seen].any(), "padding is zero"
        assert np.array_equal(layout.unpack(stored.reshape(-1)), array)
        pieces = list(layout.pieces(stored.reshape(-1), 8))
        assert np.array_equal(np.concatenate(pieces) if len(pieces) > 1 else pieces[0], array)
