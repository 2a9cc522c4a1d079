"""Compiled C against the NumPy interpreter: everything that a network computes, in every variation of a case."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.proofs.reference import Interpreter
from dslc.runtime.data.encoding import Encoded
from dslc.runtime.model import Model
from dslc.runtime.training.batches import SHUFFLE_STREAM
from fuzzing.rounding import Rounded
from fuzzing.variations import Case
from helpers import Arrays, data, interpreter, outputs, randomize_parameters, spoil_memory, state_of

FACTOR = 100.0
"""How many times further than `Rounded` scatters C may be off: Winograd's squares lose up to two digits."""
DRAWS, MANY_DRAWS = 3, 30
MANY_EPS = 16.0
"""Where C is off by more, so many draws with so much larger roundings must show that it is no matter of rounding."""
LARGEST = {"float32": 1e4, "float64": 1e8}
"""A network that computes larger numbers is not judged: soon they are not finite."""
SPOILED = (np.nan, 1e30)
"""What memory is spoiled with: a maximum may pass over what is not a number."""
ALL_COUNTS = 9
"""Up to so many examples, every number of them is predicted; of more, those around the lanes and the mini-batch."""


class Wrong(AssertionError):
    """A difference that rounding does not explain. `kind` is what is wrong, without names and numbers."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind

    def __reduce__(self) -> tuple[type[Wrong], tuple[str, str]]:
        return Wrong, (self.kind, str(self).removeprefix(f"{self.kind}: "))


@dataclass
class Tally:
    """What a case was: `checks` arrays were compared, and of `unsure` rounding explains how far they are off.
    `skipped` says why a network was not judged. `seconds` of computing, those of the C compiler too."""

    checks: int = 0
    unsure: int = 0
    skipped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Data:
    """Examples of a network: predictions are of the first n of all, for each of `counts`."""

    xs: Arrays
    ys: Arrays
    batch: int
    counts: tuple[int, ...]

    def part(self, start: int, stop: int) -> tuple[Arrays, Arrays]:
        """Some of the examples, as the network takes them: rows of tables are numbers already."""
        return {n: x[start:stop] for n, x in self.xs.items()}, {n: y[start:stop] for n, y in self.ys.items()}

    @property
    def mini_batches(self) -> tuple[tuple[int, int], ...]:
        """A full one and, where there is room, a smaller one."""
        smaller = self.batch // 2 + 1
        return ((0, self.batch), (self.batch, self.batch + smaller))[: 1 + (smaller < self.batch)]

    @property
    def set(self) -> int:
        """So many examples `fit` is given: two mini-batches, the second one a rest."""
        return self.batch + max(1, self.batch // 3)


def draw_data(network: Network, batch: int, seed: int) -> Data:
    """Twice the mini-batch and one more, exact in the precision; every few labels are missing where they may be."""
    rng, n = np.random.default_rng(seed), 2 * batch + 1
    xs, ys = data(network, n, rng, network.dtype)
    xs = {name: x.view(Encoded) if network.table(name) else x for name, x in xs.items()}
    for head in network.heads:
        if head.loss is not None and not (head.loss.classes or head.loss.sequences) and seed % 2:
            ys[head.name][rng.random(ys[head.name].shape) < 0.3] = np.nan
            ys[head.name][: batch // 2 + 1].flat[0] = int(head.loss.ignore == 0) if head.loss.pixels else 0.5
    edges = {*range(1, 10), 15, 16, 17, 31, 32, 33, batch - 1, batch, batch + 1, n - 1, n}
    counts = range(1, n + 1) if n <= ALL_COUNTS else sorted(k for k in edges if 1 <= k <= n)
    return Data(xs, ys, batch, tuple(counts))


# ----------------------------------------------------------------------------------------------- what is computed


def wanted(interpreter: Interpreter, given: Data, rate: Model) -> Arrays:
    """Everything by NumPy, under the names that `computed` gives it. `rate` knows the learning rates."""
    found: Arrays = {}
    values, _ = interpreter.run(given.xs, training=False)
    for head in interpreter.network.answers:
        found |= {f"predict|{n} {head.name}": values[head.value.name][:n] for n in given.counts}
    if interpreter.network.training is None:
        return found
    found |= _evaluated(interpreter, values, given)
    for start, stop in given.mini_batches:
        loss, gradients, _ = interpreter.loss_and_gradients(*given.part(start, stop))
        found[f"loss|{stop - start}"] = np.asarray(loss)
        found |= {f"gradient|{stop - start} {name}": g for name, g in gradients.items()}
    batches = [given.part(*given.mini_batches[0])]
    shuffles = interpreter.network.training.shuffle
    order = shuffled(given.set, interpreter.seed) if shuffles else np.arange(given.set)
    for part in (order[: given.batch], order[given.batch :]):
        batches.append(({n: x[part] for n, x in given.xs.items()}, {n: y[part] for n, y in given.ys.items()}))
    for number, batch in enumerate(batches):
        interpreter.train_step(*batch, rate.learning_rate(0, number))
    return found | _standing(interpreter.shown, interpreter.states)


def shuffled(count: int, seed: int) -> np.ndarray:
    """The order of the first epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, SHUFFLE_STREAM])).permutation(count)


def _evaluated(interpreter: Interpreter, values: Arrays, given: Data) -> Arrays:
    """The mean over all examples (or all labels that are there) of each head's loss, at prediction."""
    found: Arrays = {}
    for n in evaluated_counts(given):
        first = {name: array[:n] for name, array in values.items()}
        losses = {
            f"evaluate|{n} {head.name}_loss": np.asarray(interpreter.head_loss(head, first, given.ys[head.name][:n])[0])
            for head in interpreter.network.answers
        }
        found |= {f"evaluate|{n} loss": sum(losses.values(), np.asarray(0.0))}
        found |= losses if len(losses) > 1 else {}
    return found


def evaluated_counts(given: Data) -> tuple[int, ...]:
    return tuple(dict.fromkeys((given.batch // 2 + 1, 2 * given.batch + 1)))


def _standing(parameters: Mapping[str, np.ndarray], states: Mapping[str, Arrays]) -> Arrays:
    found = {f"update|{name}": p for name, p in parameters.items()}
    return found | {f"update|{name}.{s}": a for name, kept in states.items() for s, a in kept.items()}


def computed(model: Model, given: Data) -> Arrays:
    """Everything by C. What no call leaves for the next is spoiled in between."""
    found: Arrays = {}
    for n in given.counts:
        xs, _ = given.part(0, n)
        spoil_memory(model, SPOILED[n % 2])
        first, again = outputs(model, xs), outputs(model, xs)
        for name, output in first.items():
            found[f"predict|{n} {name}"] = output
            same = output.tobytes() == again[name].tobytes()
            require(same, "predict twice", f"{name} of {n} examples has other bits the second time")
    if model.network.training is None:
        return found
    for n in evaluated_counts(given):
        spoil_memory(model)
        losses = model.evaluate(*given.part(0, n))
        found |= {f"evaluate|{n} {k}": np.asarray(v) for k, v in losses.items() if k.endswith("loss")}
    return found | _trained(model, given)


def _trained(model: Model, given: Data) -> Arrays:
    found: Arrays = {}
    for start, stop in given.mini_batches:
        batch = given.part(start, stop)
        spoil_memory(model)
        found[f"loss|{stop - start}"] = np.asarray(model.loss(*batch))
        spoil_memory(model)
        found |= {f"gradient|{stop - start} {name}": g for name, g in model.gradients(*batch).items()}
    spoil_memory(model)
    model.train_step(*given.part(*given.mini_batches[0]))
    spoil_memory(model)
    training = model.training
    watched = training.patience is not None or training.objective.bounds  # these want a set to be judged on
    model.fit(*given.part(0, given.set), epochs=1, dev=given.part(0, given.set) if watched else None)
    learning = [p.name for p in model.network.parameters if p.learns]
    states = {name: {s: state_of(model, name, s) for s in model.training.optimizer.states} for name in learning}
    return found | _standing(model.copy_weights(), states)


# ----------------------------------------------------------------------------------------------- what is compared


@dataclass
class Expected:
    """What a network computes in a precision, and how rounding scatters it. `largest` is the largest number that flows
    between its layers: what follows from much larger ones (softsign of millions) is a difference of nearly equal
    numbers."""

    network: Network
    given: Data
    start: Interpreter
    rate: Model
    exact: Arrays
    scatter: dict[str, float]
    largest: float

    def more_scatter(self) -> dict[str, float]:
        """The same with more draws and larger roundings."""
        return scattered(self, MANY_DRAWS, MANY_EPS)


def scattered(expected: Expected, draws: int, eps: float) -> dict[str, float]:
    """By array the largest distance from the exact numbers, of one rounding at least."""
    eps *= float(np.finfo(expected.network.dtype).eps)
    found = {name: eps * float(np.abs(exact).max(initial=0.0)) for name, exact in expected.exact.items()}
    start = expected.start
    for draw in range(draws):
        rounded = Rounded(
            start.network, dict(start.parameters), start.seed, start.step, copy.deepcopy(start.states),
            eps, np.random.default_rng(draw),
        )  # fmt: skip
        for name, array in wanted(rounded, expected.given, expected.rate).items():
            found[name] = max(found[name], distance(array, expected.exact[name]))
    return found


def expect(model: Model, seed: int) -> Expected:
    """The interpreter's numbers for a model as it stands."""
    given = draw_data(model.network, model.batch if model.network.training else 20, seed)
    start = interpreter(model)
    exact = wanted(replace(start, parameters=dict(start.parameters), states=copy.deepcopy(start.states)), given, model)
    expected = Expected(model.network, given, start, model, exact, {}, largest_between(start, given))
    expected.scatter = scattered(expected, DRAWS, 1.0)
    return expected


def largest_between(interpreter: Interpreter, given: Data) -> float:
    """The largest number that a layer makes of a mini-batch."""
    xs, _ = given.part(*given.mini_batches[0])
    values, _ = interpreter.run(xs, training=interpreter.network.training is not None)
    return max(float(np.abs(values[node.output.name]).max(initial=0.0)) for node in interpreter.network.nodes)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.asarray(a, np.float64) - b).max(initial=0.0))


def require(holds: bool, kind: str, message: str) -> None:
    if not holds:
        raise Wrong(kind, message)


def compare(found: Arrays, expected: Expected, tally: Tally) -> None:
    """Raises Wrong for an array that is further off than rounding takes it."""
    require(found.keys() == expected.exact.keys(), "names", f"{found.keys() ^ expected.exact.keys()}")
    more = None
    for name, exact in expected.exact.items():
        tally.checks += 1
        off = distance(found[name], exact)
        if off <= FACTOR * expected.scatter[name]:
            continue
        if np.isfinite(off):
            more = more or expected.more_scatter()
            if off <= FACTOR / MANY_EPS * more[name]:
                tally.unsure += 1
                continue
        kind, _, what = name.partition("|")
        size, scatter = np.abs(exact).max(initial=0.0), expected.scatter[name]
        raise Wrong(kind, f"{what}: off by {off:.3g} of {size:.3g}, and rounding scatters by {scatter:.3g}")


def check(case: Case) -> Tally:
    """Builds and judges every variation.

    Raises:
        Wrong: with what is wrong, and in which variation.
        Exception: whatever the compiler or the runtime raise for a valid network.
    """
    tally, before = Tally(), sum(os.times()[:4])
    by_precision: dict[str, Expected] = {}
    bits: dict[object, dict[str, bytes]] = {}
    for variation in case.variations:
        try:
            network = check_text(case.text, dtype=variation.precision or None)
            if network.precision in by_precision and unfit(by_precision[network.precision]):
                continue
            model = randomize_parameters(variation.model(network), np.random.default_rng(case.seed))
            model.schema = replace(model.schema, tables={t.input: () for t in network.tables})  # they are numbers
            expected = by_precision.get(network.precision) or expect(model, case.seed)
            by_precision[network.precision] = expected
            if reason := unfit(expected):
                tally.skipped = reason
                continue
            found = computed(model, expected.given)
            compare(found, expected, tally)
            for name, array in found.items():
                _same_bits(name, array, bits.setdefault((replace(variation, threads=0), network.precision), {}))
            if variation.threads > 1:
                _with_one_thread(model, case, expected, found)
        except Exception as error:
            error.add_note(f"in {variation}")
            raise
    tally.seconds = sum(os.times()[:4]) - before
    return tally


def unfit(expected: Expected) -> str:
    """Why the numbers of a network are not judged; empty where they are."""
    largest = [expected.largest, *(float(np.abs(a).max(initial=0.0)) for a in expected.exact.values())]
    fit = all(number <= LARGEST[expected.network.dtype] for number in largest)
    return "" if fit else f"numbers up to {max(largest):.3g}"


def _same_bits(name: str, array: np.ndarray, known: dict[str, bytes]) -> None:
    bits = np.asarray(array).tobytes()
    require(known.setdefault(name, bits) == bits, "threads", f"{name}: other bits with another number of threads")


def _with_one_thread(model: Model, case: Case, expected: Expected, found: Arrays) -> None:
    """What was planned for several threads gives the same bits on one."""
    for view in model.compiled.states().values():
        view[...] = 0
    model.compiled.step = model.epoch = 0
    randomize_parameters(model, np.random.default_rng(case.seed))
    model.compiled.net.threads = 1
    for name, array in computed(model, expected.given).items():
        _same_bits(name, array, {name: np.asarray(found[name]).tobytes()})
