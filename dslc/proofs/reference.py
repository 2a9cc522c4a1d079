"""The independent reference: interprets a checked network in NumPy, with the layers' references.

It uses no operations, plans or C.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from dslc.ir import Head, Network, Node, Value
from dslc.layers import Layer, Mode, Reference
from dslc.layers._fake_quantize import fake_quantized_weight
from dslc.losses import Loss
from dslc.numerics import Array, np

Arrays = dict[str, Array]


@dataclass
class Interpreter:
    """A network with its parameters and optimizer states, NumPy arrays in one precision. `step` counts the updates;
    `averages` are those of parameters, where they are averaged, from the first update on."""

    network: Network
    parameters: Arrays
    seed: int = 0
    step: int = 0
    states: dict[str, Arrays] = field(default_factory=dict)
    averages: Arrays = field(default_factory=dict, kw_only=True)

    @property
    def shown(self) -> Arrays:
        """What predictions use: the averages where there are some, else the parameters themselves."""
        return {**self.parameters, **self.averages}

    def run(self, inputs: Mapping[str, Array], training: bool) -> tuple[Arrays, dict[str, Reference]]:
        """Forward pass: every value (n, *shape) by name, and the reference of every node, which holds its backward."""
        values: Arrays = dict(inputs)
        results: dict[str, Reference] = {}
        sliced: list[tuple[Node, Mode]] = []
        used = dict(self.parameters if training else self.shown)
        for index, node in enumerate(self.network.nodes):
            xs = tuple(values[v.name] for v in node.inputs)
            own = self.own(node, used)
            mode = Mode(training and not node.frozen, self.seed, self.step, index)
            if self.slice is not None and mode.training and node.layer.mixes:
                results[node.name] = _in_slices(self.slice, node.layer, xs, own, mode)
                sliced.append((node, mode))
            else:
                results[node.name] = node.layer.reference(xs, own, mode)
            used |= {node.roles[role].name: value for role, value in results[node.name].updates.items()}
            values[node.output.name] = results[node.name].y
        for node, updates in self._slice_by_slice(sliced, values):
            results[node.name] = replace(results[node.name], updates=updates)
        return values, results

    def _slice_by_slice(self, sliced: list[tuple[Node, Mode]], values: Arrays) -> Iterator[tuple[Node, Arrays]]:
        """What layers keep of a mini-batch in slices, each of which goes through all of them before the next one: two
        may keep the same, as those of a shared tower do. A layer that keeps once for all slices does so of the last."""
        kept = dict(self.parameters)
        count = len(next(iter(values.values())))
        for first in range(0, count, self.slice or count):
            for node, mode in sliced:
                x = values[node.inputs[0].name][first : first + (self.slice or count)]
                known = kept if node.layer.by_slice else self.parameters
                updates = node.layer.reference((x,), self.own(node, known), mode).updates
                kept |= {node.roles[role].name: value for role, value in updates.items()}
        for node, _ in sliced:
            yield node, {role: kept[p.name] for role, p in node.roles.items() if not p.trained}

    def own(self, node: Node, used: Mapping[str, Array]) -> Arrays:
        """A node's parameters by role, among all by name; a weight for integers is rounded."""
        own = {role: used[p.name] for role, p in node.roles.items()}
        if node.rounds_weight:
            own["weight"] = fake_quantized_weight(own["weight"], node.roles["weight"].units)
        return own

    @property
    def slice(self) -> int | None:
        """How many examples a batch norm sees at a time in training; None for the whole mini-batch."""
        training = self.network.training
        return training.slice if training is not None and training.divided else None

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """The outputs (n, *shape) by head, in prediction mode."""
        values, _ = self.run(inputs, training=False)
        return {head.name: values[head.value.name] for head in self.network.answers}

    def loss_and_gradients(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array], weights: Array | None = None
    ) -> tuple[float, Arrays, dict[str, Reference]]:
        """In training mode: the loss, the gradients of all parameters that learn, and the nodes' references. Loss and
        gradients include regularization. weights: what each example counts (n,)."""
        values, results = self.run(inputs, training=True)
        loss, flowing = self._losses(values, targets, weights)
        gradients = self._backward(flowing, results)
        examples = len(next(iter(inputs.values()))) if weights is None else float(weights.sum())
        for p in self.network.parameters:
            for regularizer in p.regularizers:
                penalty, slope = regularizer.reference(self.parameters[p.name], examples)
                loss += float(penalty)
                gradients[p.name] = gradients[p.name] + slope
        return loss, gradients, results

    def flow(self, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
        """In training mode: every value by name, and the gradients of the loss (without regularization) with respect to
        the values that it depends on."""
        values, flowing, _ = self._flow(inputs, targets)
        return values, flowing

    def _flow(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array]
    ) -> tuple[Arrays, Arrays, dict[str, Reference]]:
        values, results = self.run(inputs, training=True)
        _, flowing = self._losses(values, targets)
        self._backward(flowing, results)
        return values, flowing, results

    def randomly_weighted_gradients(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array], random: np.random.Generator
    ) -> Arrays:
        """The gradients of the parameters that learn, with every element of a layer's output gradient multiplied by a
        number from the standard normal distribution. Terms that cancel in the gradient do not cancel here: the expected
        square of an entry is the sum of the squares of its terms."""
        _, flowing, results = self._flow(inputs, targets)
        weighed = {p.name: np.zeros_like(self.parameters[p.name]) for p in self.network.parameters if p.learns}
        for node in self.network.nodes:
            if node.output.name in flowing and node.learns:
                dy = flowing[node.output.name]
                _, dps = results[node.name].pull(dy * random.standard_normal(dy.shape))
                for role, p in node.roles.items():
                    if p.learns:
                        weighed[p.name] += dps[role]
        return weighed

    def _losses(
        self, values: Arrays, targets: Mapping[str, Array], weights: Array | None = None
    ) -> tuple[float, Arrays]:
        """The sum of the losses, and their gradients with respect to the values that they are computed from."""
        flowing: Arrays = {}
        loss = 0.0
        for head in self.network.heads:
            part, slope = self.head_loss(head, values, targets[head.name], weights)
            loss += float(part)
            _add(flowing, self.loss_input(head).name, slope)
        return loss, flowing

    def head_loss(
        self, head: Head, values: Mapping[str, Array], target: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """The loss of one head, from all values by name, and its gradient with respect to `loss_input`."""
        judged = values[self.loss_input(head).name]
        return self._loss(head).at(values).reference(judged, self._standardized(head, target), weights)

    def _loss(self, head: Head) -> Loss:
        """A head's loss, with balanced class weights as the numbers that they are now."""
        assert head.loss is not None
        weights = self.network.class_weights(head)
        if weights is None:
            return head.loss
        return replace(head.loss, class_weights=tuple(self.parameters[weights.name]))  # type: ignore[type-var]

    def _standardized(self, head: Head, target: Array) -> Array:
        """The targets as the loss takes them: (target - mean) / std under `standardize_target`."""
        node = self.network.producer(head.value)
        if node is None or not node.layer.of_target:
            return target
        return (target - self.parameters[f"{node.name}.mean"]) / self.parameters[f"{node.name}.std"]

    def loss_input(self, head: Head) -> Value:
        """The value that a head's loss is computed from: the input of its softmax or sigmoid, or of its change of
        unit, else its output."""
        producer = self.network.producer(head.value)
        through = head.loss is not None and (head.loss.through or (producer and producer.layer.of_target))
        return producer.inputs[0] if through and producer is not None else head.value

    def _backward(self, flowing: Arrays, results: dict[str, Reference]) -> Arrays:
        """Backward pass: the gradients of the parameters that learn. Adds those of all values to `flowing`."""
        gradients = {p.name: np.zeros_like(self.parameters[p.name]) for p in self.network.parameters if p.learns}
        for node in reversed(self.network.nodes):
            if node.output.name not in flowing:
                continue
            dxs, dps = results[node.name].pull(flowing[node.output.name])
            for value, dx in zip(node.inputs, dxs, strict=True):
                _add(flowing, value.name, dx)
            for role, dp in dps.items():
                p = node.parameter(role)
                if p is not None and p.name in gradients:
                    gradients[p.name] += dp
        return gradients

    def train_step(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array], lr: float, weights: Array | None = None
    ) -> float:
        """One training step: updates the parameters and returns the loss before the update."""
        loss, gradients, results = self.loss_and_gradients(inputs, targets, weights)
        self.update(gradients, results, lr)
        return loss

    def update(self, gradients: Arrays, results: Mapping[str, Reference], lr: float) -> None:
        """The last part of a training step: clips the gradients, updates parameters, optimizer states and the running
        averages in `results`, and applies constraints such as max_norm."""
        training = self.network.training
        assert training is not None
        if training.clip is not None:
            gradients = training.clip.reference(gradients)
        self.step += 1
        known = self.shown
        for node in self.network.nodes:
            for role, value in results[node.name].updates.items():
                self.parameters[node.roles[role].name] = value
        for p in self.network.parameters:
            if p.learns:
                w = self.parameters[p.name]
                states = self.states.setdefault(p.name, {s: np.zeros_like(w) for s in training.optimizer.states})
                self.parameters[p.name], self.states[p.name] = training.optimizer.reference(
                    w, gradients[p.name], states, lr * p.lr_factor, self.step, p.decays
                )
            for constraint in p.constraints:
                self.parameters[p.name] = constraint.reference(self.parameters[p.name], p.units)
            if training.average is not None and p.learns:
                self.averages[p.name] = training.average.reference(known[p.name], self.parameters[p.name], self.step)


def _in_slices(examples: int, layer: Layer, xs: tuple[Array, ...], own: Mapping[str, Array], mode: Mode) -> Reference:
    """A layer with one input whose results depend on the examples that it sees together: in slices, one after the
    other. What it keeps of them is found behind all layers."""
    (x,) = xs
    cuts = range(examples, len(x), examples)
    parts = [layer.reference((part,), own, mode) for part in np.split(x, cuts)]

    def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
        pulled = [p.pull(part) for p, part in zip(parts, np.split(dy, cuts), strict=True)]
        sums = {role: np.sum([dps[role] for _, dps in pulled], axis=0) for role in pulled[0][1]}
        return (np.concatenate([dxs[0] for dxs, _ in pulled]),), sums

    return Reference(np.concatenate([p.y for p in parts]), pull, {})


def _add(flowing: Arrays, name: str, part: Array) -> None:
    flowing[name] = flowing[name] + part if name in flowing else part
