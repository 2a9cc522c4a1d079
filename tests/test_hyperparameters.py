"""Hyperparameters are numbers at run time: others compile nothing, and all that is computed is as the NumPy interpreter
says; where they are constants, the C computes the same."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from dslc import hyperparameters, optimizers, registry
from dslc.codegen import build
from dslc.compiler import check_text, plan_network
from dslc.language.source import Source
from dslc.optimizers import Optimizer
from dslc.proofs.verify import verify
from dslc.runtime.model import Model

ALL = """
param rate = 0.3
param std = 0.2
param decay = 0.04
param l = 0.5
param most = 0.2
param size = 6
param beta = 0.9
param share = 0.1
param lr = 0.05
net All {{
  input x: 4x4x2
  noise(std)
  conv(3, 3x3, l1=l/2) -> relu -> spatial_dropout(rate)
  flatten -> dense(7) -> relu -> dropout(keep=1-rate)
  repeat 3 {{ dense(7) -> selu -> alpha_dropout(rate/2) }}
  dense(7) -> drop_path(rate)
  output y = dense(3) -> softmax
}}
train {{
  loss cross_entropy
  optimizer {optimizer}
  regularize l2(l), max_norm(3)
  clip {clip}(most)
  batch size
}}
"""
ALL_OF_ONE = "net One { input x: 3\n dense(2) -> softmax }\ntrain {\n loss cross_entropy\n optimizer %s\n batch 4\n}"
SOURCE = Source("<text>", "")
OTHERS = {"rate": 0.6, "beta": 0.5, "share": 0.3, "std": 0.7, "decay": 0.3, "l": 2.5, "most": 0.01, "lr": 0.2}
OPTIMIZERS = [
    "adamw(lr, beta, 1-share, weight_decay=decay)", "sgd(lr, momentum=beta, nesterov=on, weight_decay=decay)",
    "lamb(lr, beta, 1-share, weight_decay=decay)", "nadam(lr, beta, 1-share)", "adamax(lr, beta, 1-share)",
    "lars(lr, momentum=beta, weight_decay=decay)", "lookahead(momentum(lr, beta), k=3)",
    "lookahead(rmsprop(lr, beta, momentum=1-share))", "adadelta(lr, rho=beta)", "lion(lr, beta, 1-share, decay)",
]  # fmt: skip


def spec(optimizer: str = OPTIMIZERS[0], clip: str = "norm") -> str:
    """The net with this optimizer, and the params that it uses."""
    lines = ALL.format(optimizer=optimizer, clip=clip).splitlines()
    used = "\n".join(line for line in lines if not line.startswith("param"))
    return "\n".join(line for line in lines if line in used or re.search(rf"\b{line.split()[1]}\b", used))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each module that is compiled, or would be if it were not in the cache."""
    names: list[str] = []
    cache_key = build.cache_key

    def noting(*asked: object) -> str:
        names.append(cache_key(*asked))  # type: ignore[arg-type]
        return names[-1]

    monkeypatch.setattr(build, "cache_key", noting)
    return names


@pytest.mark.parametrize(("optimizer", "clip"), [(o, ("norm", "value")[i % 2]) for i, o in enumerate(OPTIMIZERS)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_other_values_compile_nothing(optimizer: str, clip: str, dtype: str, compiled: list[str]) -> None:
    text = spec(optimizer, clip)
    for params in ({}, {name: value for name, value in OTHERS.items() if f"param {name} " in text}):
        model = Model(check_text(text, params, dtype), threads=1)
        wrong = [row for row in verify(model, 6) if not row.ok]
        assert not wrong, wrong
    assert len(set(compiled)) == 1


def test_fields_are_named_after_their_place() -> None:
    network = check_text(spec())
    assert hyperparameters.values(network) == {
        "noise1_std": 0.2, "conv1_l1": 0.25, "l2": 0.5, "spatial_dropout1_rate": 0.3, "dropout1_keep": 0.7,
        "alpha_dropout1_rate": 0.15, "drop_path1_rate": 0.3,
        "beta1": 0.9, "beta2": 0.9, "weight_decay": 0.04, "clip_norm": 0.2,
    }  # fmt: skip
    off = check_text(spec(), {"rate": 0, "l": 0, "std": 0, "decay": 0})
    assert hyperparameters.values(off) == {"beta1": 0.9, "beta2": 0.9, "clip_norm": 0.2}
    assert hyperparameters.values(replace(network, training=None)) == {}


def test_they_may_change_between_steps(rng: np.random.Generator) -> None:
    """A field of the struct is what the next step uses: here no weight decay, and no step longer than 1e-9."""
    model = Model(check_text(spec(OPTIMIZERS[1], "value"), dtype="float64"), threads=1)
    x, y = rng.standard_normal((6, 4, 4, 2)), np.arange(6) % 3
    before = model.copy_weights()
    model.compiled.net.weight_decay, model.compiled.net.momentum, model.compiled.net.clip_value = 0.0, 0.0, 1e-9
    model.train_step(x, y)
    moved = [np.abs(after - before[name]).max() for name, after in model.copy_weights().items()]
    assert max(moved) <= 0.05 * 1e-9 * 1.01


@pytest.mark.cached_plans
def test_plans_are_found_again_for_other_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything planned: for other mini-batches neither, where there is room for them."""
    text = spec()
    Model(check_text(text), threads=1, capacity=8)
    monkeypatch.setattr("dslc.plan_cache.plan_network", lambda *_: pytest.fail("a plan was made"))
    for changes in (OTHERS, {"size": 3}):
        assert Model(check_text(text, changes), threads=1, capacity=8).library.cached


def test_only_the_rate_of_an_optimizer_is_left_out() -> None:
    """Of every optimizer, those that contain others too: what a plan depends on does not know the learning rate."""
    found = set()
    for name, optimizer in registry.every(optimizers, Optimizer).items():
        for example in optimizer.examples:
            texts = [ALL_OF_ONE % example, ALL_OF_ONE % re.sub(r"\b0\.\d+(?=[,)])", "0.77", example, count=1)]
            networks = [hyperparameters.without_values(replace(check_text(t), source=SOURCE), None) for t in texts]
            assert networks[0].training == networks[1].training, name
            found.add(repr(networks[0].training))
    assert len(found) > len(registry.names(optimizers))


def test_mini_batches_up_to_a_capacity(rng: np.random.Generator) -> None:
    """An epoch of 10 examples is as with a network that is compiled for mini-batches of 4."""
    x, y = rng.standard_normal((10, 4, 4, 2)), np.arange(10) % 3
    found = []
    for capacity in (None, 9):
        text = spec()
        model = Model(check_text(text, {"size": 4}, "float64"), threads=1, capacity=capacity)
        history = model.fit(x, y, epochs=2, progress=False)
        assert model.step == 6 and model.mini_batch == 4
        found.append([np.array(history.records[-1]["loss"]), *model.copy_weights().values()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_what_is_planned_does_not_depend_on_values() -> None:
    text = spec()
    steps = [plan_network(check_text(text, params)).steps for params in ({}, OTHERS)]
    assert steps[0] == steps[1]
