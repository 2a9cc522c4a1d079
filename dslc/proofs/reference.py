"""The independent judge: a checked network interpreted in NumPy, from the layers' references.

Nothing here knows of operations, plans or C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dslc.ir import Head, Network, Value
from dslc.layers import Mode, Reference
from dslc.numerics import Array, np

Arrays = dict[str, Array]


@dataclass
class Interpreter:
    """A network with its parameters, as NumPy arrays of one precision; `step` counts accepted updates."""

    network: Network
    parameters: Arrays
    seed: int = 0
    step: int = 0
    states: dict[str, Arrays] = field(default_factory=dict)

    def run(self, inputs: Mapping[str, Array], training: bool) -> tuple[Arrays, dict[str, Reference]]:
        """Every value by name, and every node's reference."""
        values: Arrays = dict(inputs)
        results: dict[str, Reference] = {}
        for index, node in enumerate(self.network.nodes):
            xs = tuple(values[v.name] for v in node.inputs)
            own = {p.name.removeprefix(f"{node.name}."): self.parameters[p.name] for p in node.parameters}
            mode = Mode(training and not node.frozen, self.seed, self.step, index)
            results[node.name] = node.layer.reference(xs, own, mode)
            values[node.output.name] = results[node.name].y
        return values, results

    def predict(self, inputs: Mapping[str, Array]) -> Arrays:
        """The outputs by head."""
        values, _ = self.run(inputs, training=False)
        return {head.name: values[head.value.name] for head in self.network.heads}

    def loss_and_gradients(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array]
    ) -> tuple[float, Arrays, dict[str, Reference]]:
        """The loss in training mode with its regularization, the gradients of what learns, the nodes' references."""
        values, results = self.run(inputs, training=True)
        loss, flowing = self._judge(values, targets)
        gradients = self._backward(flowing, results)
        examples = len(next(iter(inputs.values())))
        for p in self.network.parameters:
            for regularizer in p.regularizers:
                penalty, slope = regularizer.reference(self.parameters[p.name], examples)
                loss += float(penalty)
                gradients[p.name] = gradients[p.name] + slope
        return loss, gradients, results

    def flow(self, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
        """In training mode every value by name, and the gradients of the loss (without regularization) with respect
        to those that lie before it."""
        values, flowing, _ = self._flow(inputs, targets)
        return values, flowing

    def _flow(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array]
    ) -> tuple[Arrays, Arrays, dict[str, Reference]]:
        values, results = self.run(inputs, training=True)
        _, flowing = self._judge(values, targets)
        self._backward(flowing, results)
        return values, flowing, results

    def weighed_gradients(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array], random: np.random.Generator
    ) -> Arrays:
        """The gradients of what learns, with every number that flows back into a layer multiplied by one from a normal
        distribution: terms that cancel in the gradient do not cancel here. The expected square of an entry is the sum
        of the squares of its terms."""
        _, flowing, results = self._flow(inputs, targets)
        weighed = {p.name: np.zeros_like(self.parameters[p.name]) for p in self.network.parameters if p.learns}
        for node in self.network.nodes:
            if node.output.name in flowing and any(p.learns for p in node.parameters):
                dy = flowing[node.output.name]
                _, dps = results[node.name].pull(dy * random.standard_normal(dy.shape))
                weighed |= {p.name: dps[p.name.removeprefix(f"{node.name}.")] for p in node.parameters if p.learns}
        return weighed

    def _judge(self, values: Arrays, targets: Mapping[str, Array]) -> tuple[float, Arrays]:
        """The sum of the losses, and their gradients with respect to the values that they look at."""
        flowing: Arrays = {}
        loss = 0.0
        for head in self.network.heads:
            assert head.loss is not None
            judged = self.judged(head)
            part, slope = head.loss.reference(values[judged.name], targets[head.name])
            loss += float(part)
            _add(flowing, judged.name, slope)
        return loss, flowing

    def judged(self, head: Head) -> Value:
        """The value that a head's loss looks at: what flows into its softmax or sigmoid, else its output."""
        producer = self.network.producer(head.value)
        through = head.loss is not None and head.loss.through is not None
        return producer.inputs[0] if through and producer is not None else head.value

    def _backward(self, flowing: Arrays, results: dict[str, Reference]) -> Arrays:
        """The gradients of what learns; `flowing` gets those of all values on the way."""
        gradients = {p.name: np.zeros_like(self.parameters[p.name]) for p in self.network.parameters if p.learns}
        for node in reversed(self.network.nodes):
            if node.output.name not in flowing:
                continue
            dxs, dps = results[node.name].pull(flowing[node.output.name])
            for value, dx in zip(node.inputs, dxs, strict=True):
                _add(flowing, value.name, dx)
            for role, dp in dps.items():
                if f"{node.name}.{role}" in gradients:
                    gradients[f"{node.name}.{role}"] += dp
        return gradients

    def train_step(self, inputs: Mapping[str, Array], targets: Mapping[str, Array], lr: float) -> float:
        """One update; the loss before it."""
        loss, gradients, results = self.loss_and_gradients(inputs, targets)
        self.update(gradients, results, lr)
        return loss

    def update(self, gradients: Arrays, results: Mapping[str, Reference], lr: float) -> None:
        """The rest of a step: with these gradients, and the running averages of the nodes' references."""
        training = self.network.training
        assert training is not None
        if training.clip is not None:
            gradients = training.clip.reference(gradients)
        self.step += 1
        for node in self.network.nodes:
            for role, value in results[node.name].updates.items():
                self.parameters[f"{node.name}.{role}"] = value
        for p in self.network.parameters:
            if p.learns:
                w = self.parameters[p.name]
                states = self.states.setdefault(p.name, {s: np.zeros_like(w) for s in training.optimizer.states})
                self.parameters[p.name], self.states[p.name] = training.optimizer.reference(
                    w, gradients[p.name], states, lr, self.step, p.decays
                )
            for constraint in p.constraints:
                self.parameters[p.name] = constraint.reference(self.parameters[p.name], p.units)


def _add(flowing: Arrays, name: str, part: Array) -> None:
    flowing[name] = flowing[name] + part if name in flowing else part
