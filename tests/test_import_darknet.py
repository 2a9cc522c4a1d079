"""`dslc import NET.cfg`: classifiers of Darknet compute what PyTorch computes by the formulas of Darknet's C, and what
is no classifier is refused with its place."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from test_cli import dslc

from dslc.interchange.importing import import_darknet
from dslc.language.diagnostics import DataError
from dslc.proofs.reference import Interpreter

torch = pytest.importorskip("torch")
functional = torch.nn.functional
Rng = np.random.Generator

CFG = """[net]
height=11
width=9 # smaller than usual
channels=3

[convolutional]
batch_normalize=1
filters=4
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
filters=4
size=1
activation=relu

[convolutional]
filters=6
groups=2
size=3
stride=2
padding=1
activation=linear

[maxpool]
size=3
stride=1

[shortcut]
from=-2
activation=elu

[route]
layers=-1,3

[connected]
output=7
batch_normalize=1
activation=tanh

[dropout]
probability=.5

[connected]
output=5
activation=logistic

[softmax]

[cost]
type=sse
"""


class File:
    """The numbers of a .weights as they are drawn, and the file. `transposed`: an old version, whose matrices lie the
    other way."""

    def __init__(self, rng: Rng, transposed: bool = False) -> None:
        self.rng, self.transposed = rng, transposed
        head = struct.pack("<iiiI", 1001, 0, 0, 9) if transposed else struct.pack("<iiiQ", 0, 2, 0, 9)
        self.parts = [head]

    def draw(self, *shape: int, least: float = -1.0) -> np.ndarray:
        found = self.rng.uniform(least, 1, shape).astype(np.float32)
        turned = self.transposed and len(shape) == 2
        self.parts.append(np.ascontiguousarray(found.T if turned else found).tobytes())
        return found.astype(np.float64)

    def statistics(self, filters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scales, means = self.draw(filters), self.draw(filters)
        return scales, means, self.draw(filters, least=1e-5)


def normalized(x: np.ndarray, known: tuple[np.ndarray, ...], bias: np.ndarray) -> np.ndarray:
    """Darknet's normalize_cpu, scale_bias and add_bias: the channels are axis 1."""
    gamma, mean, var, beta = (a.reshape(-1, *(1 for _ in x.shape[2:])) for a in (*known, bias))
    return (x - mean) / (np.sqrt(var) + 1e-6) * gamma + beta


def convolved(x: np.ndarray, weights: np.ndarray, **how: int) -> np.ndarray:
    return functional.conv2d(torch.from_numpy(x), torch.from_numpy(weights), **how).numpy()


def pooled(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Darknet's forward_maxpool_layer with its usual padding size - 1, pixel by pixel."""
    both = size - 1
    rows, columns = ((n + both - size) // stride + 1 for n in x.shape[2:])
    out = np.empty((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride - both // 2, j * stride - both // 2
            out[..., i, j] = x[..., max(0, top) : top + size, max(0, left) : left + size].max(axis=(2, 3))
    return out


def expected(x: np.ndarray, file: File) -> np.ndarray:
    """The network of CFG on x (n, 3, 11, 9), while its numbers are drawn in the order of the file."""
    bias, known = file.draw(4), file.statistics(4)
    x = normalized(convolved(x, file.draw(4, 3, 3, 3), padding=1), known, bias)
    x = pooled(np.where(x > 0, x, 0.1 * x), 2, 2)
    bias = file.draw(4)
    x = np.maximum(convolved(x, file.draw(4, 4, 1, 1)) + bias[:, None, None], 0)
    bias = file.draw(6)
    third = convolved(x, file.draw(6, 2, 3, 3), stride=2, padding=1, groups=2) + bias[:, None, None]
    x = pooled(third, 3, 1) + third
    x = np.where(x > 0, x, np.expm1(x))
    x = np.concatenate([x, third], axis=1).reshape(len(x), -1)  # layers=-1,3: the sum, and the third convolution
    bias, weights = file.draw(7), file.draw(7, x.shape[1])
    x = np.tanh(normalized(x @ weights.T, file.statistics(7), bias))
    bias, weights = file.draw(5), file.draw(5, 7)
    x = np.exp(1 / (1 + np.exp(-(x @ weights.T + bias))))
    return x / x.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("transposed", [False, True])
def test_as_darknet_computes_it(transposed: bool, tmp_path: Path, rng: Rng) -> None:
    x, file = rng.random((3, 3, 11, 9)), File(rng, transposed)
    wanted = expected(x, file)
    path, weights = tmp_path / "small.cfg", tmp_path / "small.weights"
    path.write_text(CFG)
    weights.write_bytes(b"".join(file.parts))
    found = import_darknet(path, weights, "small")
    parameters = {name: array.astype(np.float64) for name, array in found.written.parameters.items()}
    (made,) = Interpreter(found.network, parameters).predict({"image": x.transpose(0, 2, 3, 1)}).values()
    np.testing.assert_allclose(made, wanted, atol=1e-6)
    if not transposed:
        done = dslc("import", "small.cfg", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        text = (tmp_path / "small.net").read_text()
        assert "net small {" in text and "input image: 11x9x3" in text and "dropout(rate=0.5)" in text, text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[shortcut]", "[region]", r"a\.cfg:\d+: \[region\]: the language has nothing for it"),
        ("activation=elu", "activation=plse", r"a\.cfg:\d+: \[shortcut\]: the language has no activation plse"),
        ("from=-2", "from=-9", r"\[shortcut\]: there is no layer -9"),
        ("from=-2", "from=0", r"\[shortcut\]: it adds layers of different sizes"),
        ("filters=6", "filters=six", r"\[convolutional\]: filters should be a number, not 'six'"),
        ("filters=6", "filters=600000000", r"has [\d,]+ numbers left, and its biases are 600,000,000"),
        ("output=5", "output=4", r"has 8 numbers more"),
        ("output=5", "output=6", r"a\.cfg:\d+: \[connected\]: .*numbers left, and its weights"),
        ("[net]", "[mesh]", r"does not begin with \[net\]"),
        ("height=11", "height=0", r"no height, width and channels"),
        ("[softmax]", "softmax", r"a\.cfg:\d+: a \.cfg of Darknet has \[sections\]"),
    ],
)
def test_what_is_refused(old: str, new: str, said: str, tmp_path: Path, rng: Rng) -> None:
    file = File(rng)
    expected(np.zeros((1, 3, 11, 9)), file)
    path, weights = tmp_path / "a.cfg", tmp_path / "a.weights"
    path.write_text(CFG.replace(old, new))
    weights.write_bytes(b"".join(file.parts))
    with pytest.raises(DataError, match=said):
        import_darknet(path, weights, "a")


@pytest.mark.parametrize("data", [b"", bytes(15), bytes(21), b"\xff" * 64])
def test_no_weights(data: bytes, tmp_path: Path) -> None:
    path, weights = tmp_path / "a.cfg", tmp_path / "a.weights"
    path.write_text(CFG)
    weights.write_bytes(data)
    with pytest.raises(DataError, match=r"no \.weights of Darknet"):
        import_darknet(path, weights, "a")


def test_no_sections(tmp_path: Path) -> None:
    (tmp_path / "m.cfg").write_text("# nothing\n")
    with pytest.raises(DataError, match=r"has no \[section\]"):
        import_darknet(tmp_path / "m.cfg", tmp_path / "m.weights", "m")
