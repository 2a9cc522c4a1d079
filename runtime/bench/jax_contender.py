"""The network in JAX: the training step and the prediction are each one jitted function."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dslc.ir import Network
from dslc.registry import name_of
from dslc.runtime.bench.contender import (
    Array,
    Arrays,
    Contender,
    Given,
    Job,
    decay_of,
    judged,
    reads,
    require_layers,
    require_training,
)
from dslc.runtime.bench.jax_layers import LAYERS, LOSSES, OPTIMIZERS, Tree, batchnorm, dropout


class JaxContender(Contender):
    """XLA takes as many threads as the process has cores. The state of a step is donated to the next."""

    def __init__(self, network: Network, weights: Arrays, threads: int) -> None:
        require_layers(network, LAYERS)
        jax.config.update("jax_enable_x64", network.dtype == "float64")
        jax.config.update("jax_cpu_enable_async_dispatch", False)  # what is short comes back sooner this way
        self.network, self.weights, self.job = network, weights, "predict"

    def take(self, job: Job, given: Given) -> None:
        """Compiles, with a first call, and begins anew."""
        if job == "train":
            require_training(self.network, LOSSES, tuple(OPTIMIZERS))
        self.job = job
        self.batch = len(next(iter(given.x.values())))
        dtype = self.network.dtype
        self.x = {name: jnp.asarray(x, dtype) for name, x in given.x.items()}
        self.targets = [{name: jnp.asarray(y) for name, y in some.items()} for some in given.targets]
        self.step = jax.jit(self._step, donate_argnums=0)
        self.prediction = jax.jit(self._prediction)
        self._begin()
        self.call(0)
        self._begin()

    def _begin(self) -> None:
        """The state before the first step."""
        arrays = {name: jnp.asarray(w.T if w.ndim == 2 else w) for name, w in self.weights.items()}  # dense: (in, out)
        learning = {p.name for p in self.network.parameters if p.learns}
        self.state = {
            "params": {name: array for name, array in arrays.items() if name in learning},
            "kept": {name: array for name, array in arrays.items() if name not in learning},
            "moments": tuple({name: jnp.zeros_like(arrays[name]) for name in learning} for _ in range(2)),
            "step": jnp.int32(0),
        }

    def call(self, turn: int) -> Any:
        """A step of training, or a prediction."""
        if self.job == "predict":
            return jax.block_until_ready(self.prediction(self.state, self.x))
        self.state, loss = self.step(self.state, self.x, self.targets[turn % len(self.targets)])
        return [loss]

    def arrays(self, result: Any) -> list[Array]:
        """Outputs lie as ours do."""
        return [np.asarray(array) for array in result]

    # ------------------------------------------------------------------------------------------- what is jitted

    def _prediction(self, state: Tree, x: Tree) -> list[Any]:
        values, _ = self._run(state["params"] | state["kept"], x, None, training=False)
        return [values[head.value.name] for head in self.network.answers]

    def _step(self, state: Tree, x: Tree, targets: Tree) -> tuple[Tree, Any]:
        key = jax.random.fold_in(jax.random.key(0), state["step"])
        find = jax.value_and_grad(self._loss, has_aux=True)
        (loss, kept), slopes = find(state["params"], state["kept"], x, targets, key)
        training = self.network.training
        assert training is not None
        for p in (p for p in self.network.parameters if p.learns and p.regularizers):
            slopes[p.name] = slopes[p.name] + decay_of(p, self.batch) * state["params"][p.name]
        number, update = state["step"] + 1, OPTIMIZERS[name_of(training.optimizer)]
        optimizer: Any = training.optimizer
        settings = asdict(optimizer)
        params, moments = update(settings, state["params"], slopes, state["moments"], number)
        for p in (p for p in self.network.parameters if p.learns and p.decays and "weight_decay" in settings):
            params[p.name] -= settings["lr"] * settings["weight_decay"] * state["params"][p.name]
        return {"params": params, "kept": kept, "moments": moments, "step": number}, loss

    def _loss(self, params: Tree, kept: Tree, x: Tree, targets: Tree, key: Any) -> tuple[Any, Tree]:
        values, new = self._run(params | kept, x, key, training=True)
        total = jnp.zeros((), self.network.dtype)
        for head in self.network.heads:
            loss: Any = head.loss
            z = values[judged(self.network, head).name]
            total = total + loss.weight * LOSSES[name_of(loss)](loss, z, targets[head.name])
        return total, kept | new

    def _run(self, parameters: Tree, x: Tree, key: Any, training: bool) -> tuple[Tree, Tree]:
        """Every value by name, and the running averages that have changed."""
        values, changed = dict(x), dict[str, Any]()
        for number, node in enumerate(self.network.nodes):
            kind, xs = name_of(node.layer), [values[name] for name in reads(node)]
            p = {role: parameters[of.name] for role, of in node.roles.items()}
            if kind == "batchnorm":
                y, new = batchnorm(node, xs[0], p, training)
                changed |= {f"{node.name}.{role}": array for role, array in new.items()} if training else {}
            elif kind == "dropout":
                y = dropout(node, xs[0], jax.random.fold_in(key, number) if training else None)
            else:
                y = LAYERS[kind](node, xs, p)
            values[node.output.name] = y
        return values, changed
