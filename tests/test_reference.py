"""What the interpreter itself stands on: Philox's known answers, and dropout's statistics."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
import dslc.layers
from dslc import registry
from dslc.layers import Activation, Layer, Mode
from dslc.layers.dropout import Dropout
from dslc.philox import philox4x32, random_words
from dslc.runtime.model import Model
from helpers import interpreter

# Random123's kat_vectors for philox4x32 with 10 rounds: counter, key, answer.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_known_answers(counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]) -> None:
    assert tuple(philox4x32(np.array([counter], np.uint32), key)[0]) == answer


def test_words_are_the_blocks_in_order() -> None:
    seed, step, stream = 2**40 + 5, 2**33 + 7, 3
    counter = np.array([[block, stream, 7, 2] for block in range(3)], np.uint32)
    wanted = philox4x32(counter, (5, 2**8)).reshape(-1)
    assert np.array_equal(random_words(10, seed, step, stream), wanted[:10])


RATE, COUNT = 0.3, 20_000


def dropped(seed: int = 1, step: int = 0, stream: int = 0, training: bool = True) -> np.ndarray:
    x = np.ones((2, COUNT // 2))
    return Dropout(RATE).reference((x,), {}, Mode(training, seed, step, stream)).y.ravel()


def test_dropout_drops_the_rate_and_keeps_the_mean() -> None:
    y = dropped()
    assert set(y) == {0.0, 1 / (1 - RATE)}
    error = np.sqrt(RATE * (1 - RATE) / COUNT)
    assert abs((y == 0).mean() - RATE) < 4 * error
    assert abs(y.mean() - 1) < 4 * error / (1 - RATE)


@pytest.mark.parametrize("other", [{"step": 1}, {"seed": 2}, {"stream": 1}], ids=str)
def test_dropout_masks_are_independent(other: dict[str, int]) -> None:
    """Another step, seed or layer: the masks agree as often as chance has it."""
    agree = ((dropped() == 0) == (dropped(**other) == 0)).mean()
    chance = RATE**2 + (1 - RATE) ** 2
    assert abs(agree - chance) < 4 * np.sqrt(chance * (1 - chance) / COUNT)


def test_dropout_is_off_at_prediction() -> None:
    assert (dropped(training=False) == 1).all()


def keeps(seed: int = 1) -> Model:
    """y_j = w_j * x_j summed, through a dropout: the gradient of w shows C's mask."""
    model = dslc.loads(
        f"net Keeps {{\n  input x: 4000\n  dropout({RATE}) -> dense(1, bias=off)\n}}\n"
        f"train {{\n  loss mse\n  optimizer sgd(1e-9)\n  seed {seed}\n  batch 2\n}}\n",
        dtype="float64",
    )
    model.parameters["dense1.weight"] = np.full((1, 4000), 1.0)
    return model


def mask(model: Model) -> np.ndarray:
    x = np.ones((1, 4000))
    return model.gradients(x, np.zeros((1, 1)))["dense1.weight"][0] != 0


def test_dropout_in_c() -> None:
    """The rate; a new mask every step, the same one in between; another one with another seed; none at prediction."""
    model = keeps()
    first = mask(model)
    assert abs((~first).mean() - RATE) < 4 * np.sqrt(RATE * (1 - RATE) / 4000)
    assert np.array_equal(mask(model), first)
    assert not np.array_equal(mask(keeps(2)), first)
    assert model.predict(np.ones((1, 4000)))[0, 0] == pytest.approx(4000)
    model.train_step(np.ones((1, 4000)), np.zeros((1, 1)))
    assert abs((mask(model) == first).mean() - (RATE**2 + (1 - RATE) ** 2)) < 0.05


def test_steps_beyond_32_bits() -> None:
    """Step 2^32 has a mask of its own, and C and NumPy agree on it."""
    model = keeps()
    first = mask(model)
    model.compiled.net.step = 2**32
    assert not np.array_equal(mask(model), first)
    x, t = {"x": np.ones((1, 4000))}, {"output": np.zeros((1, 1))}
    _, gradients, _ = interpreter(model).loss_and_gradients(x, t)
    assert np.array_equal(gradients["dense1.weight"][0] != 0, mask(model))


@pytest.mark.parametrize(
    "name",
    [n for n, a in registry.every(dslc.layers, Layer).items() if issubclass(a, Activation) and n != "activation"],
)
def test_activations_of_large_numbers(name: str) -> None:
    """Values and slopes are numbers, and far from 0 the slope is a constant; softsign's only falls as 1 / x^2."""
    layer = registry.every(dslc.layers, Layer)[name]()
    x = np.array([-1e5, -1e3, -800.0, 0.0, 800.0, 1e3, 1e5])
    with np.errstate(over="ignore"):
        found = layer.reference((x,), {}, Mode(training=True))
        ((slope,), _) = found.pull(np.ones(7))
    assert np.isfinite(found.y).all() and np.isfinite(slope).all()
    assert max(np.ptp(slope[:3]), np.ptp(slope[4:])) <= (1 / 800**2 if name == "softsign" else 0)
