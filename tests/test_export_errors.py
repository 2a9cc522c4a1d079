"""Bad input of exported C: a code is returned, and nothing is written."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fuzz_weights import fuzzer, is_there

from dslc.compiler import check_text
from dslc.export.export import export_c
from dslc.export.network import Trained, Wishes
from dslc.language.diagnostics import CallError
from dslc.target import TARGETS
from exporting import Export, export
from test_export import DIGITS

BATCH = 3


@dataclass
class Loaded:
    """An exported network in this process, with a struct, memory, weights, an input and an output."""

    exported: Export
    library: ctypes.CDLL
    errors: dict[str, int]

    def __post_init__(self) -> None:
        self.net = np.full(256, 0xAB, np.uint8)
        self.size = self.call("memory_size", BATCH, 0)
        self.memory = aligned(self.size + 64, 0xCD)
        self.weights = aligned_copy(self.exported.weights.read_bytes())
        self.x = np.random.default_rng(0).standard_normal((BATCH, 64)).astype(np.float32)
        self.out = np.full((BATCH, 10), 7, np.float32)

    def call(self, function: str, *arguments: object) -> int:
        found = getattr(self.library, f"{self.exported.prefix}_{function}")
        return int(found(*(a if a is None or isinstance(a, ctypes._SimpleCData) else given(a) for a in arguments)))

    def init(self) -> None:
        assert self.call("init", self.net, self.memory, size(self.size), BATCH, 0, size(0)) == 0

    def load(self) -> None:
        assert self.call("load_weights", self.net, self.weights, size(len(self.weights))) == 0

    def arrays(self) -> list[bytes]:
        """All that a call could write to."""
        return [a.tobytes() for a in (self.net, self.memory, self.weights, self.x, self.out)]


def given(argument: object) -> object:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    assert isinstance(argument, int)
    return ctypes.c_int(argument)


def size(number: int) -> ctypes.c_uint64:
    return ctypes.c_uint64(number)


def aligned(bytes_: int, fill: int) -> np.ndarray:
    whole = np.full(bytes_ + 64, fill, np.uint8)
    start = -whole.ctypes.data % 64
    return whole[start : start + bytes_]


def aligned_copy(data: bytes) -> np.ndarray:
    found = aligned(len(data), 0)
    found[:] = np.frombuffer(data, np.uint8)
    return found


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Export, ctypes.CDLL, dict[str, int]]:
    folder = tmp_path_factory.mktemp("errors")
    exported = export(DIGITS, Wishes(TARGETS["generic"], BATCH, embed=False), folder, np.random.default_rng(2))
    listed = re.findall(r"DIGITS_(\w+) = (\d+),? /\* (?!numbers|examples|bytes)", (folder / "digits.h").read_text())
    return exported, exported.library(), {name: int(number) for name, number in listed}


@pytest.fixture
def net(library: tuple[Export, ctypes.CDLL, dict[str, int]]) -> Loaded:
    return Loaded(*library)


Bad = Callable[[Loaded], int]
INIT: dict[str, tuple[str, Bad]] = {
    "no network": ("NULL_POINTER", lambda n: n.call("init", None, n.memory, size(n.size), 1, 0, size(0))),
    "no memory": ("NULL_POINTER", lambda n: n.call("init", n.net, None, size(n.size), 1, 0, size(0))),
    "no examples": ("BAD_BATCH", lambda n: n.call("init", n.net, n.memory, size(n.size), 0, 0, size(0))),
    "less than none": ("BAD_BATCH", lambda n: n.call("init", n.net, n.memory, size(n.size), -1, 0, size(0))),
    "too many": ("BAD_BATCH", lambda n: n.call("init", n.net, n.memory, size(n.size), BATCH + 1, 0, size(0))),
    "a byte too few": ("TOO_SMALL", lambda n: n.call("init", n.net, n.memory, size(n.size - 1), BATCH, 0, size(0))),
    "misaligned": ("MISALIGNED", lambda n: n.call("init", n.net, n.memory[4:], size(n.size), BATCH, 0, size(0))),
    "training": ("NO_TRAINING", lambda n: n.call("init", n.net, n.memory, size(n.size), BATCH, 1, size(0))),
}


@pytest.mark.parametrize("case", INIT)
def test_init(case: str, net: Loaded) -> None:
    expect(net, *INIT[case])


def expect(net: Loaded, error: str, call: Bad) -> None:
    before = net.arrays()
    assert call(net) == net.errors[error]
    assert net.arrays() == before, "something was written"


def test_memory_size(net: Loaded) -> None:
    assert net.size > 0
    for batch, training in ((0, 0), (-1, 0), (BATCH + 1, 0), (1, 1)):
        assert net.call("memory_size", batch, training) == 0


def changed(net: Loaded, at: int, data: bytes) -> np.ndarray:
    """The weights with other bytes somewhere."""
    weights = aligned_copy(net.weights.tobytes())
    weights[at : at + len(data)] = np.frombuffer(data, np.uint8)
    return weights


def load(weights: Callable[[Loaded], np.ndarray | None]) -> Bad:
    def call(net: Loaded) -> int:
        data = weights(net)
        return net.call("load_weights", net.net, data, size(0 if data is None else len(data)))

    return call


def other_network(net: Loaded) -> np.ndarray:
    """Of the same network with a layer more."""
    rng, folder = np.random.default_rng(3), net.exported.folder / "other"
    text = DIGITS.replace("dense(10)", "dense(11) -> relu -> dense(10)")
    return aligned_copy(export(text, net.exported.wishes, folder, rng).weights.read_bytes())


def other_target(net: Loaded) -> np.ndarray:
    """Of the same network, whose weights lie in other blocks."""
    rng, folder = np.random.default_rng(3), net.exported.folder / "portable"
    return aligned_copy(export(DIGITS, Wishes(TARGETS["c99"], BATCH), folder, rng).weights.read_bytes())


def misplaced(net: Loaded) -> np.ndarray:
    """The same weights at an odd address."""
    room = aligned(len(net.weights) + 4, 0)
    room[4:] = net.weights
    return room[4:]


WEIGHTS: dict[str, tuple[str, Bad]] = {
    "none": ("NULL_POINTER", load(lambda n: None)),
    "no network": ("NULL_POINTER", lambda n: n.call("load_weights", None, n.weights, size(len(n.weights)))),
    "empty": ("WEIGHTS_SIZE", load(lambda n: n.weights[:0])),
    "half a head": ("WEIGHTS_SIZE", load(lambda n: n.weights[:31])),
    "a head alone": ("WEIGHTS_SIZE", load(lambda n: n.weights[:64])),
    "a byte less": ("WEIGHTS_SIZE", load(lambda n: n.weights[:-1])),
    "a byte more": ("WEIGHTS_SIZE", load(lambda n: aligned_copy(n.weights.tobytes() + b"x"))),
    "other sizes": ("WEIGHTS_SIZE", load(lambda n: changed(n, 24, b"\0"))),
    "other magic": ("NOT_WEIGHTS", load(lambda n: changed(n, 0, b"GGUF"))),
    "zeros": ("NOT_WEIGHTS", load(lambda n: np.zeros_like(n.weights))),
    "big-endian": ("BYTE_ORDER", load(lambda n: changed(n, 8, bytes([1, 2, 3, 4])))),
    "double": ("OTHER_NETWORK", load(lambda n: changed(n, 12, bytes([8])))),
    "other network": ("OTHER_NETWORK", load(other_network)),
    "other target": ("OTHER_NETWORK", load(other_target)),
    "misaligned": ("MISALIGNED", load(misplaced)),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_load_weights(case: str, net: Loaded) -> None:
    """What was loaded before stays in use."""
    net.init()
    net.load()
    expect(net, *WEIGHTS[case])
    assert net.call("predict", net.net, net.x, BATCH, net.out) == 0


PREDICT: dict[str, tuple[str, Bad]] = {
    "no network": ("NULL_POINTER", lambda n: n.call("predict", None, n.x, 1, n.out)),
    "no input": ("NULL_POINTER", lambda n: n.call("predict", n.net, None, 1, n.out)),
    "no output": ("NULL_POINTER", lambda n: n.call("predict", n.net, n.x, 1, None)),
    "no examples": ("BAD_BATCH", lambda n: n.call("predict", n.net, n.x, 0, n.out)),
    "less than none": ("BAD_BATCH", lambda n: n.call("predict", n.net, n.x, -1, n.out)),
    "too many": ("BAD_BATCH", lambda n: n.call("predict", n.net, n.x, BATCH + 1, n.out)),
}


@pytest.mark.parametrize("case", PREDICT)
def test_predict(case: str, net: Loaded) -> None:
    net.init()
    net.load()
    expect(net, *PREDICT[case])


def test_predict_without_weights(net: Loaded) -> None:
    net.init()
    expect(net, "NO_WEIGHTS", lambda n: n.call("predict", n.net, n.x, 1, n.out))


def test_fewer_examples_than_planned(net: Loaded) -> None:
    """max_batch is what init was told, not what the plan allows."""
    assert net.call("init", net.net, net.memory, size(net.size), 1, 0, size(0)) == 0
    net.load()
    expect(net, "BAD_BATCH", lambda n: n.call("predict", n.net, n.x, 2, n.out))


def test_the_header_lists_every_error(net: Loaded) -> None:
    wanted = {error for cases in (INIT, WEIGHTS, PREDICT) for error, _ in cases.values()} | {"OK", "NO_WEIGHTS"}
    assert wanted == set(net.errors) and sorted(net.errors.values()) == list(range(len(net.errors)))


@pytest.mark.parametrize(
    ("text", "training", "said"),
    [
        ("net A {\n  input row: table { a: number, b: category(x, y) }\n  dense(2)\n}\n", False, "encoded in Python"),
        (
            "net A {\n  input x: 3\n  dense(2)\n}\ntrain {\n  loss mse\n  optimizer sgd(0.1)\n  average ema(0.9)\n}\n",
            True,
            "keeps no average",
        ),
    ],
)
def test_what_exported_c_does_not_do(text: str, training: bool, said: str) -> None:
    trained = Trained(check_text(text), {})
    with pytest.raises(CallError, match=said):
        export_c(trained, Wishes(TARGETS["generic"], training=training))


@pytest.mark.sanitizers
def test_the_loader_of_weights_is_fuzzed(tmp_path: Path) -> None:
    """Some thousand files by libFuzzer; `make fuzz` goes on."""
    if not is_there():
        pytest.fail("no libFuzzer") if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip("no libFuzzer")
    made, corpus = fuzzer(tmp_path)
    limits = ("-runs=20000", "-max_total_time=5", "-seed=1", "-max_len=512")
    done = subprocess.run([made, *limits, corpus], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
