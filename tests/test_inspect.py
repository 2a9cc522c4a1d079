"""`dslc inspect`: scales against the notes' powers of w and against PyTorch, verdicts, the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.compiler import check_file, check_text
from dslc.proofs.inspection import default_count, sample_examples, untrained
from dslc.proofs.scales import Scales, measure
from dslc.runtime.data.datasets import Split
from helpers import REPO

TRAIN = "train {\n  loss cross_entropy\n  optimizer sgd(lr=0.1)\n  init %s\n}\n"
DEEP = "net Deep {\n  input x: 50\n  repeat %d {\n    dense(64) -> %s\n  }\n  dense(5) -> softmax\n}\n" + TRAIN


def scales_of(text: str, rng: np.random.Generator, n: int = 100) -> Scales:
    network = check_text(text)
    part = Split(rng.standard_normal((n, *network.inputs[0].shape)), rng.integers(0, 5, n))
    return measure(untrained(network, part), *sample_examples(network, part, n))


def test_layers_without_a_gradient(rng: np.random.Generator) -> None:
    """None comes by before an augmentation: nothing to judge there. Behind it the gradients are those of the same
    network on what training saw; one that is really not a number still explodes."""
    body = "conv(4, 3x3) -> tanh\n  flatten\n  dense(5) -> softmax\n}\n" + TRAIN % "he"
    text = "net A {\n  input image: 8x8x1\n  standardize -> rotate(10) -> shift(1) -> crop(6x6)\n  " + body
    network = check_text(text)
    part = Split(rng.standard_normal((40, 8, 8, 1)), rng.integers(0, 5, 40))
    x, y = sample_examples(network, part, 40)
    judge = untrained(network, part)
    scales = {row.layer: row for row in measure(judge, x, y).layers}
    for name in ("standardize1", "rotate1", "shift1"):
        assert scales[name].gradient is None and scales[name].norm is None and scales[name].verdict == "ok", name
    seen = judge.run(x, training=True)[0][network.nodes[3].output.name]
    alone = check_text("net A {\n  input image: 6x6x1\n  " + body)
    plain = untrained(alone, Split(seen, part.y))
    plain.parameters = {p.name: judge.parameters[p.name] for p in alone.parameters}
    *learned, softmax = measure(plain, {"image": seen}, y).layers
    assert softmax.gradient is None and len(learned) == 4
    for row in learned:
        assert scales[row.layer].gradient == pytest.approx(row.gradient, rel=1e-9), row.layer
    judge.parameters["dense1.weight"][0, 0] = np.nan
    broken = {row.layer: row.verdict for row in measure(judge, x, y).layers}
    assert "gradient explodes" in broken["conv1"] and broken["rotate1"] == "ok"


@pytest.mark.parametrize(("w", "words"), [(1.5, "explodes"), (0.5, "vanishes"), (1.0, "ok")])
def test_powers_of_w(w: float, words: str) -> None:
    """The notes' case, layers of one weight w: after l of L layers the activation is w^l x, and the gradient
    w^(L - l) times that at the loss."""
    network = check_text(
        "net Line {\n  input x: 1\n  repeat 30 {\n    dense(1, bias=off)\n  }\n}\n"
        f"train {{\n  loss mse\n  optimizer sgd(lr=1)\n  init constant({w})\n}}\n"
    )
    x, t = np.array([[-1.0], [1.0], [3.0], [5.0]]), np.array([[2.0], [-1.0], [4.0], [0.0]])
    found = measure(untrained(network, Split(x, t)), {"x": x}, {"output": t})
    slopes = 2 * (w**30 * x - t)
    for depth, layer in enumerate(found.layers, 1):
        assert layer.activation == pytest.approx(w**depth * np.sqrt(5), rel=1e-12)
        assert layer.gradient == pytest.approx(w ** (30 - depth) * slopes.std(), rel=1e-12)
        assert layer.norm == pytest.approx(w ** (30 - depth) * np.sqrt((slopes**2).mean()), rel=1e-12)
    first, last = found.layers[0].verdict, found.layers[-1].verdict
    assert (first, last) == (("ok", "ok") if words == "ok" else (f"gradient {words}", f"activation {words}"))


def test_deep_sigmoids_vanish(rng: np.random.Generator) -> None:
    """Each loses at least a factor 4 of the gradient: the first ones learn nothing, the last ones do."""
    found = scales_of(DEEP % (10, "sigmoid", "xavier"), rng).layers
    assert found[0].verdict == found[1].verdict == "gradient vanishes"
    assert [layer.verdict for layer in found[-6:]] == ["ok"] * 6


def test_large_weights_explode(rng: np.random.Generator) -> None:
    found = scales_of(DEEP % (10, "relu", "normal(1)"), rng).layers
    assert found[0].verdict == "gradient explodes"
    assert found[-2].verdict == "activation explodes"


def test_small_weights_vanish(rng: np.random.Generator) -> None:
    """The gradient too: both shrink by the same factor."""
    found = scales_of(DEEP % (10, "relu", "normal(0.01)"), rng).layers
    assert found[0].verdict == "gradient vanishes"
    assert found[-2].verdict == "activation vanishes"


def test_numbers_that_overflow_explode(rng: np.random.Generator) -> None:
    found = scales_of(DEEP % (10, "relu", "normal(1e30)"), rng).layers
    assert "explodes" in found[-2].verdict and not np.isfinite(found[-2].activation)


@pytest.mark.parametrize("depth", [1, 10, 40])
def test_he_before_relu_is_ok(depth: int, rng: np.random.Generator) -> None:
    """At any depth. A relu makes half of its numbers zero."""
    found = scales_of(DEEP % (depth, "relu", "he"), rng).layers
    assert {layer.verdict for layer in found} == {"ok"}
    zeros = [layer.zeros for layer in found if layer.layer.startswith("relu")]
    assert all(0.3 < share < 0.7 for share in zeros) and found[0].zeros == 0


def test_dead_units_are_seen(rng: np.random.Generator) -> None:
    """A relu that lets nothing through: only zeros, and no gradient before it."""
    chain = "dense(5) -> softplus -> dense(5, init=constant(-1)) -> relu -> dense(5) -> softmax"
    text = f"net Dead {{\n  input x: 4\n  {chain}\n}}\n"
    found = {layer.layer: layer for layer in scales_of(text + TRAIN % "he", rng).layers}
    assert found["relu1"].zeros == 1 and "activation vanishes" in found["relu1"].verdict
    assert found["dense1"].norm == 0 and found["dense1"].verdict == "gradient vanishes"


@pytest.mark.parametrize("name", ["lenet5", "residual", "mlp_batchnorm"])
def test_specs_are_ok(name: str, rng: np.random.Generator) -> None:
    network = check_file(REPO / "specs" / f"{name}.net")
    part = Split(rng.random((20, *network.inputs[0].shape)), rng.integers(0, 10, 20))
    found = measure(untrained(network, part), *sample_examples(network, part, 20))
    assert {layer.verdict for layer in found.layers} == {"ok"}


def test_without_train_there_are_no_gradients(rng: np.random.Generator) -> None:
    found = scales_of("net A {\n  input x: 4\n  dense(5) -> relu\n}\n", rng)
    assert all(layer.gradient is None and layer.norm is None and layer.verdict == "ok" for layer in found.layers)


def test_starts_as_training_does(rng: np.random.Generator) -> None:
    """The parameters are the ones of a fresh model, and standardize is fitted on the whole training set."""
    text = "net A {\n  input x: 4\n  standardize -> dense(5) -> softmax\n}\n" + TRAIN % "he"
    part = Split(rng.standard_normal((30, 4)) * 7 + 3, rng.integers(0, 5, 30))
    found = untrained(check_text(text), part).parameters
    model = dslc.loads(text, dtype="float64")
    assert np.array_equal(found["dense1.weight"], model.parameters["dense1.weight"].numpy())
    assert np.allclose(found["standardize1.mean"], part.x.mean(axis=0), rtol=1e-12)


@pytest.mark.torch
def test_against_pytorch(rng: np.random.Generator) -> None:
    """Deviations, zeros and gradients of every layer's output, as autograd has them."""
    torch = pytest.importorskip("torch")
    text = "net N {\n  input x: 6x6x2\n  conv(3, 3x3) -> relu -> maxpool(2x2) -> flatten -> dense(5) -> softmax\n}\n"
    network = check_text(text + TRAIN % "he")
    part = Split(rng.standard_normal((9, 6, 6, 2)), rng.integers(0, 5, 9))
    judge = untrained(network, part)
    inputs, targets = sample_examples(network, part, 9)
    p = {name: torch.tensor(array) for name, array in judge.parameters.items()}
    image = torch.tensor(inputs["x"]).permute(0, 3, 1, 2)
    steps = [torch.nn.functional.conv2d(image, p["conv1.weight"].permute(3, 2, 0, 1), p["conv1.bias"]).requires_grad_()]
    steps += [steps[-1].relu()]
    steps += [torch.nn.functional.max_pool2d(steps[-1], 2)]
    steps += [steps[-1].permute(0, 2, 3, 1).flatten(1)]
    steps += [torch.nn.functional.linear(steps[-1], p["dense1.weight"], p["dense1.bias"])]
    for value in steps:
        value.retain_grad()
    torch.nn.functional.cross_entropy(steps[-1], torch.tensor(targets["output"]).long()).backward()
    *layers, softmax = measure(judge, inputs, targets).layers
    for layer, value in zip(layers, steps, strict=True):
        numbers, gradient = value.detach().numpy(), 9 * value.grad.numpy()
        assert layer.activation == pytest.approx(numbers.std(), rel=1e-10)
        assert layer.zeros == (numbers == 0).mean()
        assert layer.gradient == pytest.approx(gradient.std(), rel=1e-10)
        assert layer.norm == pytest.approx(np.sqrt((gradient.reshape(9, -1) ** 2).sum(1).mean()), rel=1e-10)
    assert softmax.gradient is None


def test_large_networks_are_looked_at_with_fewer_examples() -> None:
    counts = [default_count(check_file(REPO / "specs" / f"{name}.net")) for name in ("lenet5", "alexnet", "vgg16")]
    assert counts[0] == 64 and 1 < counts[1] < 64 and counts[2] == 1


def test_as_many_targets_as_examples(rng: np.random.Generator) -> None:
    network = check_text("net A {\n  input x: 4\n  dense(5) -> softmax\n}\n" + TRAIN % "he")
    with pytest.raises(dslc.DataError, match="6 examples in x, but 5 targets"):
        sample_examples(network, Split(rng.random((6, 4)), np.zeros(5)), 6)


# ------------------------------------------------------------------------------------------- the command


def test_help_states_the_limits() -> None:
    text = " ".join(run("--help", cwd=REPO).stdout.split())
    assert "vanishes below a thousandth" in text and "a thousand times" in text


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dslc", "inspect", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    (tmp_path / "deep.net").write_text(DEEP % (10, "sigmoid", "xavier"))
    random = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=random.standard_normal((40, 50)), y=random.integers(0, 5, 40))
    return tmp_path


def test_table_and_picture(deep: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("deep.net", "--data", "d.npz", "-o", "inspect.png", cwd=deep)
    assert done.returncode == 0, done.stderr
    title, header, *rows, written = done.stdout.splitlines()
    assert title == "Deep: scale by depth, 40 examples" and written == "wrote inspect.png"
    assert header.split() == ["layer", "output", "activation", "zeros", "gradient", "norm", "verdict"]
    assert len(rows) == 22 and rows[0].endswith("gradient vanishes") and rows[-2].endswith("ok")
    from matplotlib.image import imread

    height, width, _ = imread(deep / "inspect.png").shape
    assert height > 500 and width > 500


def test_of_given_weights(deep: Path) -> None:
    """The numbers of the file are the ones that are used."""
    model = dslc.load(deep / "deep.net")
    for view in model.parameters.values():
        view[...] = np.zeros(view.shape)
    model.save(deep / "zeros.safetensors")
    done = run("deep.net", "--data", "d.npz", "--weights", "zeros.safetensors", cwd=deep)
    assert done.stdout.splitlines()[2].split()[1:] == ["64", "0.00e+00", "100.0%", "0.00e+00", "0.00e+00",
                                                        "activation", "vanishes,", "gradient", "vanishes"]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("deep.net",), 2, "--data"),
        (("deep.net", "--data", "d.npz", "--examples", "0"), 2, "--examples"),
        (("deep.net", "--data", "d.npz", "-o", "inspect.gif"), 2, "-o inspect.png"),
        (("deep.net", "--data", "d.npz", "-o", "nowhere/a.png"), 1, "cannot write to nowhere/a.png"),
        (("deep.net", "--data", "d.npz", "--weights", "d.npz"), 1, "cannot read d.npz"),
        (("deep.net", "--data", "mnist"), 1, "expected the shape"),
        (("nope.net", "--data", "d.npz"), 1, "no such file"),
    ],
)
def test_bad_calls(deep: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    before = sorted(deep.iterdir())
    done = run(*arguments, cwd=deep)
    assert done.returncode == status and words in done.stderr + done.stdout, done.stderr
    assert not done.stdout.startswith("Deep") and sorted(deep.iterdir()) == before


def test_without_matplotlib(deep: Path) -> None:
    """One line that says what to install; without -o nothing is missing."""
    (deep / "matplotlib.py").write_text("raise ImportError('not here')")
    done = run("deep.net", "--data", "d.npz", "-o", "a.png", cwd=deep)
    assert done.returncode == 1 and "pip install 'dslc[plots]'" in done.stderr and not (deep / "a.png").exists()
    assert run("deep.net", "--data", "d.npz", cwd=deep).returncode == 0
