"""What cannot fit is refused before anything is allocated, with the numbers and what to try."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc import free_memory
from dslc.compiler import check_text, plan_network
from dslc.free_memory import Room
from dslc.runtime.native import compiled

NET = """
net Wide {
  input x: 1000
  dense(2000) -> relu
  dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer momentum(lr=0.01)
  batch     64
}
"""


@pytest.mark.parametrize(
    ("membership", "files", "left"),
    [
        ("0::/a\n", {"a/memory.max": "5000\n", "a/memory.current": "2000\n"}, 3000),
        (
            "0::/a/b\n",
            {
                "a/b/memory.max": "max\n",
                "a/b/memory.current": "1\n",
                "a/memory.max": "9000\n",
                "a/memory.current": "4000\n",
                "a/memory.stat": "anon 1000\nactive_file 1000\ninactive_file 500\n",
            },
            6500,
        ),
        (
            "5:memory:/m\n",
            {
                "memory/m/memory.limit_in_bytes": "7000\n",
                "memory/m/memory.usage_in_bytes": "7500\n",
                "memory/m/memory.stat": "inactive_file 1\ntotal_inactive_file 1000\n",
            },
            500,
        ),
        (
            "5:memory:/m\n",
            {"memory/m/memory.limit_in_bytes": f"{2**63 - 4096}\n", "memory/m/memory.usage_in_bytes": "9\n"},
            1 << 20,
        ),
        ("0::/\n", {}, 1 << 20),
    ],
)
def test_room(tmp_path: Path, membership: str, files: dict[str, str], left: int) -> None:
    """The limits of both versions of cgroups, without the pages of files, and what the machine has available."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "membership").write_text(membership)
    (tmp_path / "meminfo").write_text("MemTotal: 9999999 kB\nMemAvailable: 1024 kB\n")
    found = free_memory.room(tmp_path, tmp_path / "membership", tmp_path / "meminfo")
    assert found.bytes == left
    assert ("container" in found.whose) == (left < 1 << 20)


def test_refused_before_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """At loading for the arena; by `fit` for the weights of the best epoch too, which only a dev set asks for."""
    plan = plan_network(check_text(NET))
    needed, best = plan.arena_bytes(True), plan.weights_bytes
    monkeypatch.setattr(free_memory, "room", lambda: Room(needed - 1, "the container's limit (9 bytes)"))
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "compile_plan", lambda plan: pytest.fail("it was compiled"))
        with pytest.raises(dslc.UsageError) as caught:
            dslc.loads(NET, threads=1)
    text = str(caught.value)
    assert f"takes {needed:,} bytes" in text and f"leaves {needed - 1:,}: use a smaller batch, or `memory low`" in text
    assert f"parameters {plan.bytes('parameters'):,}" in text and "(9 bytes)" in text
    monkeypatch.setattr(free_memory, "room", lambda: Room(needed, "this machine"))
    model = dslc.loads(NET, threads=1)
    x, y = np.ones((4, 1000), np.float32), np.arange(4) % 3
    rest = needed - plan.bytes("parameters")
    monkeypatch.setattr(free_memory, "room", lambda: Room(rest + best - 1, "this machine"))
    with pytest.raises(dslc.UsageError, match=f"the weights of the best epoch {best:,}"):
        model.fit(x, y, dev=(x, y), epochs=1)
    assert model.step == 0
    model.fit(x, y, epochs=1)
    model.fit(x, y, dev=(x, y), epochs=1)  # the arena takes its memory by now


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of addresses are those of Linux")
def test_limit_of_addresses(tmp_path: Path) -> None:
    """A small RLIMIT_AS refuses `train` in one line, and `check` notes it."""
    spec = tmp_path / "wide.net"
    spec.write_text(NET.replace("dense(2000)", "dense(900000)"))
    program = (
        "import resource; from dslc.cli.main import main; import dslc.runtime.model\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); main()"
    )

    def limited(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-c", program, *arguments]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    done = limited("train", str(spec), "--data", "digits")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "the limit of its addresses (ulimit -v) leaves" in done.stderr and "smaller batch" in done.stderr
    done = limited("check", str(spec))
    assert done.returncode == 0
    assert "note: training takes" in done.stderr and "(ulimit -v) leaves" in done.stderr
    spec.write_text(NET)
    assert "note" not in limited("check", str(spec)).stderr
