"""`ir.Network` to `graph.Graph`: what each step computes, forward, backward and update.

A gradient is computed for the values before which something learns; where a value is used more than once, the gradients
of its uses are added.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from dslc.averages import Average
from dslc.clips import Clip
from dslc.graph import BEGIN, CHECK, FINISH, Graph, Phase, Step
from dslc.hyperparameters import named, numbers_of
from dslc.ir import Head, Network, Node, Parameter, Training, Value
from dslc.layers.standardize import StandardizeDetail
from dslc.losses import LossSite
from dslc.lowering.details import (
    CHUNKS,
    AverageDetail,
    ClipDetail,
    ConstraintDetail,
    ParameterDetail,
    TotalDetail,
    UnitsDetail,
)
from dslc.lowering.site import Site
from dslc.operation import (
    GRADIENT,
    INPUT,
    OUTPUT,
    PARAMETER,
    STATE,
    TARGET,
    WEIGHTS,
    Operation,
    Tensor,
    average_name,
    identifier,
    shared_gradient_name,
    slice_gradient_name,
    state_name,
)
from dslc.registry import name_of
from dslc.regularizers import Constraint
from dslc.scalar import scalar
from dslc.shape import Shape

SAMPLE_WEIGHTS = Tensor("sample_weights", (), WEIGHTS)
"""What each example counts in the losses of all heads. No layer's parameter has this name: roles are singular."""


def lower(network: Network, sliced: bool = False, variable: bool = False) -> Graph:
    """The operations of a network; without `train` only those of `predict`. sliced: mini-batches are worked through in
    slices. variable: hyperparameters are numbers at run time, not constants."""
    predict = _Predict(network).step()
    if network.training is None:
        return Graph(network, predict)
    train = TrainLowering(named(network) if variable else network, sliced)
    return Graph(network, predict, *train.steps(), sliced=sliced)


class _Lowering:
    """What both steps share: tensors for values, and the forward pass."""

    training = False
    over_ranks = False
    accumulation: object = None
    """The detail of `accumulate`."""
    needs: set[str] = set()
    """The values whose gradients the step computes, by name."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.operations: list[Operation] = []
        self.values = {v.name: Tensor(f"{v.name}_in", v.shape, INPUT) for v in network.inputs}
        self.parameters = {p.name: p for p in network.parameters}
        self.producers = {node.output.name: node for node in network.nodes}
        self.users = network.users
        self.lines = {p.name: node.span.line for node in network.nodes for p in node.parameters}
        self.saved: dict[str, dict[str, Tensor]] = defaultdict(dict)

    def phase(self, name: str) -> Phase:
        """The operations emitted since the last phase ended."""
        done, self.operations = tuple(self.operations), []
        return Phase(name, done)

    def parameter(self, name: str) -> Tensor:
        return Tensor(identifier(name), self.parameters[name].shape, PARAMETER, batched=False)

    def average(self, name: str) -> Tensor:
        return Tensor(average_name(name), self.parameters[name].shape, PARAMETER, batched=False)

    def gradient(self, name: str) -> Tensor:
        return Tensor(f"{identifier(name)}_grad", self.parameters[name].shape, GRADIENT, batched=False)

    def computed_gradient(self, name: str) -> Tensor:
        """What the backward pass of the layers writes."""
        return self.gradient(name)

    def gradient_at(self, p: Parameter, node: Node) -> Tensor:
        """What the backward pass of one layer writes: where several share a parameter, its own part."""
        if len(self.users[p.name]) > 1:
            return Tensor(shared_gradient_name(p.name, node.name), p.shape, batched=False)
        return self.computed_gradient(p.name)

    def site(self, node: Node, index: int) -> Site:
        span = node.span
        return Site(
            name=node.name,
            line=span.line,
            comment=span.line_text.strip(),
            index=index,
            training=self.training and not node.frozen,
            pulled=node.output.name in self.needs,
            x=tuple(self.values[v.name] for v in node.inputs),
            y=self.values[node.output.name],
            emit=self.operations.append,
            parameters=self._parameters_of(node),
            gradients={role: self.gradient_at(p, node) for role, p in node.roles.items() if p.learns},
            saved=self.saved[node.name],
            over_ranks=self.over_ranks,
            numbers=numbers_of(node.layer),
            made=self._made_with_weight(node),
        )

    def _made_with_weight(self, node: Node) -> frozenset[Shape]:
        weight = node.roles.get("weight")
        users = {node.name} if weight is None else self.users[weight.name]
        same = (n for n in self.network.nodes if n.name in users and type(n.layer) is type(node.layer))
        return frozenset(n.output.shape for n in same)

    def _parameters_of(self, node: Node) -> dict[str, Tensor]:
        """What a layer computes with by role. A weight that is rounded has the gradient of what it was rounded to."""
        found = {role: self.parameter(p.name) for role, p in node.roles.items()}
        if node.rounds_weight:
            found["weight"] = Tensor(f"{node.name}_weight_int8", found["weight"].shape, batched=False)
        return found

    def _round_weight(self, node: Node) -> None:
        p, rounded = node.roles["weight"], self._parameters_of(node)["weight"]
        reads, detail = (self.parameter(p.name),), UnitsDetail(p.units)
        op = Operation("fake_quantize_weight", rounded.name, reads, (rounded,), detail, p.name, node.span.line)
        self.operations.append(op)

    def forward(self, wanted: frozenset[str]) -> None:
        """The forward pass of the nodes with these names."""
        for index, node in enumerate(self.network.nodes):
            if node.name in wanted:
                if node.rounds_weight:
                    self._round_weight(node)
                self.values[node.output.name] = self.output_tensor(node)
                node.layer.forward(self.site(node, index))

    def output_tensor(self, node: Node) -> Tensor:
        return Tensor(f"{node.name}_out", node.output.shape)

    def loss_input(self, head: Head) -> Value:
        """What the head's loss is computed from: the logits under a softmax or sigmoid, standardized numbers, else the
        value itself."""
        producer = self.producers.get(head.value.name)
        if head.loss is not None and producer is not None and (head.loss.through or producer.layer.of_target):
            return producer.inputs[0]
        return head.value

    def lower_loss(self, head: Head, dz: Tensor | None) -> tuple[Tensor, Tensor]:
        """Emits the head's loss: the losses of the examples, and what their sum is divided by."""
        assert head.loss is not None
        z = self.values[self.loss_input(head).name]
        target = self.standardized(head, given_target(head))
        parts = Tensor(f"{head.name}_example_loss", ())
        count = Tensor(f"{head.name}_count", (1,), batched=False)

        weights = self.network.class_weights(head)
        balanced = None if weights is None else self.parameter(weights.name)

        def emit(op: Operation) -> None:
            self.operations.append(replace(op, line=self.line_of(head.value)))

        lengths = None if head.loss.lengths is None else self.values[head.loss.lengths]
        head.loss.lower(LossSite(head.name, z, target, SAMPLE_WEIGHTS, parts, count, dz, emit, balanced, lengths))
        return parts, count

    def standardized(self, head: Head, target: Tensor) -> Tensor:
        """What the loss compares with: (target - mean) / std where the head's unit is that of its targets."""
        node = self.producers.get(head.value.name)
        if node is None or not node.layer.of_target:
            return target
        found = Tensor(standardized_name(target), target.shape)
        statistics = tuple(self.parameter(p.name) for p in node.parameters)
        channels = target.shape[-1]
        detail = StandardizeDetail(channels, target.elements // channels)
        about, line = f"the targets of {head.name}", node.span.line
        self.operations.append(
            Operation("standardize", found.name, (target, *statistics), (found,), detail, about, line)
        )
        return found

    def line_of(self, value: Value) -> int:
        """The line of the spec that computes a value; 0 for an input."""
        node = self.producers.get(value.name)
        return node.span.line if node is not None else 0

    def totals(
        self, kind: str, job: str, heads: tuple[Head, ...], summed: list[Tensor], penalties: list[Tensor], out: Tensor
    ) -> None:
        weighed = tuple((h.name, h.loss.weight) for h in heads if h.loss is not None)
        detail = TotalDetail(weighed, len(penalties))
        self.operations.append(Operation(kind, job, (*summed, *penalties), (out,), detail, "the loss"))


class _Predict(_Lowering):
    """The forward pass in prediction mode, then the loss; with the averages of parameters where there are some."""

    def parameter(self, name: str) -> Tensor:
        if not self.network.averages(self.parameters[name]):
            return super().parameter(name)
        return self.average(name)

    def step(self) -> Step:
        self.forward(self.network.predicting)
        self._copy_shared_heads()
        phases = [self.phase("forward")]
        if self.network.training is not None:
            answers = self.network.answers
            summed = [t for head in answers for t in self.lower_loss(head, None)]
            out = Tensor("loss_sums", (2 * len(answers),), OUTPUT, batched=False, dtype="double")
            self.totals("loss_sums", "sum_losses", answers, summed, [], out)
            phases.append(self.phase("losses"))
        return Step("predict", tuple(phases))

    def output_tensor(self, node: Node) -> Tensor:
        head = next((h for h in self.network.answers if h.value == node.output), None)
        if head is None:
            return super().output_tensor(node)
        return Tensor(f"{head.name}_output", node.output.shape, OUTPUT)

    def _copy_shared_heads(self) -> None:
        """A value that is the output of two heads is copied for the second."""
        for head in self.network.answers:
            tensor = self.values[head.value.name]
            if tensor.name != f"{head.name}_output":
                out = Tensor(f"{head.name}_output", head.value.shape, OUTPUT)
                about = f"{head.name} is {head.value.name}"
                self.operations.append(
                    Operation("identity", f"{head.name}_copy", (tensor,), (out,), None, about, self.line_of(head.value))
                )


class TrainLowering(_Lowering):
    """The forward pass in training mode with the loss, the backward pass, and the update.

    In slices: each is divided by its own number of labels, as a mini-batch would be; `slice_share` turns that into its
    part of the whole, `accumulate` adds the gradients up. Penalties, their slopes and the update come once.
    """

    training = True

    def __init__(self, network: Network, sliced: bool = False) -> None:
        super().__init__(network)
        assert network.training is not None
        self.settings, self.sliced = network.training, sliced
        self.once: list[Operation] = []
        self.parts: dict[Parameter, list[Tensor]] = defaultdict(list)

    def steps(self) -> tuple[Step, Step]:
        """The steps `gradients` and `train`."""
        forward = self.forward_and_backward()
        return self._steps_in_slices(forward) if self.sliced else self._steps_at_once(forward)

    def forward_and_backward(self) -> Phase:
        """Emits both passes. Returns the phase `forward`; the operations of the backward pass wait for `phase`."""
        self.contributions: dict[str, list[Tensor]] = defaultdict(list)
        self.needs = _needing_gradient(self.network)
        self.forward(frozenset(node.name for node in self.network.nodes))
        self.losses()
        forward = self.phase("forward")
        for index, node in reversed(list(enumerate(self.network.nodes))):
            self._backward(node, index)
        self._sum_shared()
        return forward

    def _steps_at_once(self, forward: Phase) -> tuple[Step, Step]:
        self.regularize()
        both = (forward, self.phase("backward"))
        check = self.check(())
        self.running_averages()
        self.update_all()
        return Step("gradients", both), Step("train", (*both, *check, self.phase("update")))

    def _steps_in_slices(self, forward: Phase) -> tuple[Step, Step]:
        """Running averages move with each slice, as if it were a mini-batch, but for those that the next slice would
        read."""
        begin, backward = Phase(BEGIN, tuple(self.once)), self.phase("backward")
        self.regularize()
        finish = self.phase(FINISH)
        self.running_averages((True,))
        moving = Phase("backward", (*backward.operations, *self.phase("backward").operations))
        check = self.check(finish.operations)
        self.running_averages((False,))
        self.update_all()
        update = Phase("update", (*(() if check else finish.operations), *self.phase("update").operations))
        return (
            Step("gradients", (begin, forward, backward, finish)),
            Step("train", (begin, forward, moving, *check, update)),
        )

    def check(self, before: tuple[Operation, ...]) -> tuple[Phase, ...]:
        """The phase that looks at all gradients behind these operations; none where only the loss is looked at."""
        if not self.settings.checks_gradients:
            return ()
        norms = tuple(self._gradient_norm(p) for p in self.network.parameters if p.learns)
        out, about = self.loss_tensor(), "whether the gradients are finite"
        self.operations.append(Operation("finite_gradients", "check_gradients", norms, (out,), None, about))
        return (Phase(CHECK, (*before, *self.phase(CHECK).operations)),)

    def loss_tensor(self) -> Tensor:
        """The loss and its parts."""
        return Tensor("loss", (2 * len(self.network.heads) + 2,), OUTPUT, batched=False, dtype="double")

    def computed_gradient(self, name: str) -> Tensor:
        """In slices, that of a slice."""
        if not self.sliced:
            return self.gradient(name)
        return Tensor(slice_gradient_name(name), self.parameters[name].shape, batched=False)

    def losses(self) -> None:
        """Emits the losses of all heads, and their total with the penalties."""
        summed: list[Tensor] = []
        for head in self.network.heads:
            loss_input = self.loss_input(head)
            dz = None
            if loss_input.name in self.needs:
                dz = Tensor(f"{head.name}_loss_grad", loss_input.shape)
                self.contributions[loss_input.name].append(dz)
            summed.extend(self._sliced_loss(head, dz) if self.sliced else self.lower_loss(head, dz))
        penalties = [self.penalty(p, i) for p in self.network.parameters for i in range(len(p.regularizers))]
        self.add_losses(summed, penalties)

    def add_losses(self, summed: list[Tensor], penalties: list[Tensor]) -> None:
        """Emits the total of what the heads' losses consist of and the penalties."""
        self.totals("total_loss", "add_losses", self.network.heads, summed, penalties, self.loss_tensor())

    def counted(self, whole: Tensor) -> Tensor:
        """Where the number of labels in all slices is counted."""
        return whole

    def _sliced_loss(self, head: Head, dz: Tensor | None) -> tuple[Tensor, Tensor]:
        """Emits the loss of a slice, its part `dz` of the gradient, and once the number of labels in all slices."""
        at = len(self.operations)
        own = None if dz is None else replace(dz, name=f"{dz.name}_of_slice")
        parts, count = self.lower_loss(head, own)
        if own is None or dz is None:
            return parts, count
        whole = count_of_all(count)
        (counting,) = (op for op in self.operations[at:] if op.writes == (count,))
        given = given_target(head)  # standardized slice by slice, later; the same labels are missing before
        reads = tuple(given if t.name == standardized_name(given) else t for t in counting.reads)
        self.once.append(replace(counting, name=f"{counting.name}_all", reads=reads, writes=(self.counted(whole),)))
        self.share(head, (own, count, whole), dz)
        return parts, count

    def share(self, head: Head, reads: tuple[Tensor, Tensor, Tensor], dz: Tensor) -> None:
        """Emits `dz`, the part of the loss's gradient that a part of the mini-batch has: from what it would be alone,
        the number of its labels, and that of all."""
        line, name, about = self.line_of(head.value), f"{head.name}_slice_share", f"loss of {head.name}"
        self.operations.append(Operation("slice_share", name, reads, (dz,), None, about, line))

    def penalty(self, p: Parameter, index: int) -> Tensor:
        """Emits what a regularizer adds to the loss, in chunks."""
        regularizer = p.regularizers[index]
        name = f"{identifier(p.name)}_{name_of(regularizer)}"
        out = Tensor(name, (CHUNKS,), batched=False)
        detail = ParameterDetail(p.name, regularizer.penalty())
        weights, line, numbers = (self.parameter(p.name),), self.lines[p.name], numbers_of(regularizer)
        penalty = Operation("penalty", f"{name}_penalty", weights, (out,), detail, p.name, line, numbers=numbers)
        (self.once if self.sliced else self.operations).append(penalty)
        return out

    def _backward(self, node: Node, index: int) -> None:
        dy = self._total_gradient(node.output)
        if dy is None:
            return
        site = self.site(node, index)
        site.dy = dy
        site.dx = tuple(self._input_gradient(node, i) for i in range(len(node.inputs)))
        node.layer.backward(site)
        for p in node.roles.values():
            if p.learns and len(self.users[p.name]) > 1:
                self.parts[p].append(self.gradient_at(p, node))
            elif p.learns and self.sliced:
                self._accumulate(p)
        for value, dx in zip(node.inputs, site.dx, strict=True):
            if dx is not None:
                self.contributions[value.name].append(dx)

    def _sum_shared(self) -> None:
        """The gradient of what several layers share: the sum of their parts, in the order of the network."""
        for p, parts in self.parts.items():
            total, name = self.computed_gradient(p.name), f"{identifier(p.name)}_gradient_sum"
            reads = tuple(reversed(parts))
            self.operations.append(Operation("add", name, reads, (total,), None, p.name, self.lines[p.name]))
            if self.sliced:
                self._accumulate(p)

    def _accumulate(self, p: Parameter) -> None:
        reads, writes = (self.computed_gradient(p.name),), (self.gradient(p.name),)
        name = f"{identifier(p.name)}_accumulate"
        detail, line = self.accumulation, self.lines[p.name]
        self.operations.append(Operation("accumulate", name, reads, writes, detail, p.name, line))

    def _input_gradient(self, node: Node, i: int) -> Tensor | None:
        if node.inputs[i].name not in self.needs:
            return None
        suffix = f"{i + 1}" if len(node.inputs) > 1 else ""
        return Tensor(f"{node.name}_in{suffix}_grad", node.inputs[i].shape)

    def _total_gradient(self, value: Value) -> Tensor | None:
        """The sum over all uses of a value; None if no loss depends on it."""
        parts = self.contributions[value.name]
        if len(parts) < 2:
            return parts[0] if parts else None
        total = Tensor(f"{value.name}_grad", value.shape)
        name, about = f"{value.name}_gradient_sum", f"the gradient of {value.name}"
        self.operations.append(Operation("add", name, tuple(parts), (total,), None, about, self.line_of(value)))
        return total

    def regularize(self) -> None:
        """Emits the slopes of the regularizers, which are added to the gradients."""
        for p in self.network.parameters:
            if not p.regularizers or not p.learns:
                continue
            slope = p.regularizers[0].slope()
            for regularizer in p.regularizers[1:]:
                slope = slope + regularizer.slope()
            w, g = self.parameter(p.name), self.gradient(p.name)
            detail = ParameterDetail(p.name, slope)
            name, line, numbers = f"{identifier(p.name)}_regularize", self.lines[p.name], numbers_of(*p.regularizers)
            self.operations.append(
                Operation("regularizer_gradient", name, (w, g), (g,), detail, p.name, line, numbers=numbers)
            )

    def running_averages(self, by_slice: tuple[bool, ...] = (True, False)) -> None:
        """Emits what layers do once a step is accepted: those whose `by_slice` is one of these."""
        for index, node in enumerate(self.network.nodes):
            if node.layer.by_slice in by_slice:
                node.layer.after(self.site(node, index))

    def update_all(self) -> None:
        """Emits the optimizer, and what follows it: constraints and averages."""
        training = self.settings
        scale = (
            self._clip_scale(training.clip) if training.clip is not None and training.clip.needs_all_gradients else ()
        )
        for p in self.network.parameters:
            if p.learns:
                self._update(p, training, scale)
        for p in self.network.parameters:
            for constraint in p.constraints:
                self._constrain(p, constraint)
        for p in self.network.parameters:
            if training.average is not None and p.learns:
                self._move_average(p, training.average)

    def _clip_scale(self, clip: Clip) -> tuple[Tensor]:
        """What all gradients are multiplied by, from the norm of each; the check has them already."""
        learning = [p for p in self.network.parameters if p.learns]
        norm = self._norm_tensor if self.settings.checks_gradients else self._gradient_norm
        norms = tuple(map(norm, learning))
        scale = Tensor("clip_scale", (1,), batched=False)
        detail, about = ClipDetail(scalar(clip.limit)), "the norm of all gradients"
        self.operations.append(
            Operation("clip_scale", "scale_gradients", norms, (scale,), detail, about, numbers=numbers_of(clip))
        )
        return (scale,)

    def _norm_tensor(self, p: Parameter) -> Tensor:
        return Tensor(f"{self.gradient(p.name).name}_norms", (CHUNKS,), batched=False)

    def _gradient_norm(self, p: Parameter) -> Tensor:
        g, norm = self.gradient(p.name), self._norm_tensor(p)
        name = f"{identifier(p.name)}_gradient_norm"
        self.operations.append(Operation("gradient_norm", name, (g,), (norm,), None, p.name, self.lines[p.name]))
        return norm

    def _update(self, p: Parameter, training: Training, scale: tuple[Tensor, ...]) -> None:
        w, g = self.parameter(p.name), self.gradient(p.name)
        states = training.optimizer.states
        kept = tuple(Tensor(state_name(p.name, s), p.shape, STATE, batched=False) for s in states)
        clipped = None if training.clip is None else training.clip.clipped()
        rule = training.optimizer.rule(p.decays).at(p.lr_factor)
        detail = ParameterDetail(p.name, rule=rule, clipped=clipped)
        name, reads = f"{identifier(p.name)}_update", (w, g, *kept, *scale)
        if rule.trust is not None:
            needed = tuple(t for s, t in zip(states, kept, strict=True) if s in rule.states_before_trust)
            reads = (*reads, self._trust(p, (w, g, *needed, *scale), detail, len(rule.trust.of)))
        about, numbers = (p.name, self.lines[p.name]), self._numbers_of_updates()
        self.operations.append(Operation("update", name, reads, (w, *kept), detail, *about, numbers=numbers))

    def _numbers_of_updates(self) -> tuple[tuple[str, str], ...]:
        """The hyperparameters of the optimizer and of what it gets."""
        clip = self.settings.clip
        return numbers_of(self.settings.optimizer, *(() if clip is None else (clip,)))

    def _trust(self, p: Parameter, reads: tuple[Tensor, ...], detail: ParameterDetail, norms: int) -> Tensor:
        """What the step of a parameter is multiplied by, from norms over it."""
        name, line, numbers = identifier(p.name), self.lines[p.name], self._numbers_of_updates()
        parts = Tensor(f"{name}_update_norms", (norms * CHUNKS,), batched=False)
        trust = Tensor(f"{name}_trust", (1,), batched=False)
        self.operations += [
            Operation("update_norms", f"{name}_norms", reads, (parts,), detail, p.name, line, numbers=numbers),
            Operation("trust_ratio", f"{name}_trust_ratio", (parts,), (trust,), detail, p.name, line, numbers=numbers),
        ]
        return trust

    def _move_average(self, p: Parameter, average: Average) -> None:
        w, mean = self.parameter(p.name), self.average(p.name)
        name, detail = f"{mean.name}_update", AverageDetail(average.keep)
        self.operations.append(Operation("average", name, (w, mean), (mean,), detail, p.name, self.lines[p.name]))

    def _constrain(self, p: Parameter, constraint: Constraint) -> None:
        w, kind = self.parameter(p.name), name_of(constraint)
        detail = ConstraintDetail(constraint.strength, p.units)
        name = f"{identifier(p.name)}_{kind}"
        self.operations.append(Operation(kind, name, (w,), (w,), detail, p.name, self.lines[p.name]))


def given_target(head: Head) -> Tensor:
    """The targets of a head as they are given."""
    assert head.loss is not None
    shape, dtype = head.loss.target_shape(head.value.shape), "int" if head.loss.numbered else "real"
    return Tensor(f"{head.name}_target", shape, TARGET, dtype=dtype)


def count_of_all(count: Tensor) -> Tensor:
    """The number of labels of a head in a whole mini-batch, from that in a part of it."""
    return replace(count, name=f"{count.name}_of_all")


def standardized_name(target: Tensor) -> str:
    """What the same targets are called in deviations from their mean."""
    return f"{target.name}_standardized"


def _needing_gradient(network: Network) -> set[str]:
    """Values that depend on something that learns."""
    needs: set[str] = set()
    for node in network.nodes:
        if node.learns or any(v.name in needs for v in node.inputs):
            needs.add(node.output.name)
    return needs
