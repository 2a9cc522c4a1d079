"""ctc: the labels of a sequence without saying at which steps they are: the probability of all ways to place them, with
blanks between (Graves et al. 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from dslc.language.arguments import Count, NameOf, Positive, Whole
from dslc.losses import Loss, LossSite, shares
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class CtcDetail:
    """At most `labels` labels among `classes` over `steps`; `timed`: each example has so many steps as a further read
    says."""

    weight: float
    steps: int
    classes: int
    labels: int
    blank: int
    timed: bool


@dataclass(frozen=True)
class Ctc(Loss):
    """The mean over examples of -log p(labels) / number of labels, as the CTCLoss of PyTorch has it, from the logits
    under a softmax at every step. p is the sum over all alignments: a class at each step, which say the labels once
    repetitions are merged and then blanks are left out. A target has up to `labels` class numbers, with -1 behind its
    end; none at all means blanks only. `lengths` names the input that tells how many steps each example has."""

    labels: Count
    blank: Annotated[int, Whole(0)] = 0
    weight: Positive = 1.0
    lengths: Annotated[str | None, NameOf("an input")] = None
    steps: Array | None = None

    through = "softmax"
    sequences = True

    @property
    def numbers(self) -> bool:
        """Class numbers have no unit."""
        return False

    def check(self, shape: Shape) -> None:
        """Raises SizeProblem for an image, for a blank that is no class, and for more labels than steps."""
        if len(shape) == 3:
            raise SizeProblem("ctc needs a sequence of steps x classes, but this output is an image")
        if self.blank >= shape[-1]:
            raise SizeProblem(f"blank is a class, and those are numbered from 0 to {shape[-1] - 1}", argument="blank")
        if shape[-1] < 2:
            raise SizeProblem("ctc needs at least one class besides the blank", notes=("help: dense(2) or more",))
        if self.labels > steps_of(shape):
            problem = f"{self.labels} labels need at least {self.labels} steps, but this output has {steps_of(shape)}"
            raise SizeProblem(problem, argument="labels")

    def target_shape(self, shape: Shape) -> Shape:
        """Room for the labels, as real numbers: NaN behind the end."""
        return (self.labels,)

    def at(self, values: Mapping[str, Array]) -> Loss:
        """With the number of steps of each example."""
        return self if self.lengths is None else replace(self, steps=values[self.lengths][:, 0].astype(int))

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """Forward-backward in logarithms: with alpha and beta, the log-probabilities of all ways to get to a state and
        from it to the end, dz = p - sum of exp(alpha + beta - log p) over the states of a class, for each step."""
        rows = z.reshape(len(z), -1, z.shape[-1])
        share = self.weight * shares(target[:, 0] * 0, weights)[1] if weights is not None else self.weight / len(z)
        share = np.broadcast_to(share, len(z))
        loss, slope = 0.0, np.zeros_like(rows)
        for i, row in enumerate(rows):
            labels = target[i][~np.isnan(target[i])].astype(int)
            steps = rows.shape[1] if self.steps is None else self.steps[i]
            each, slopes = _align(row[:steps], labels, self.blank)
            if share[i] > 0:
                loss += share[i] * each / max(1, len(labels))
                slope[i, :steps] = share[i] * slopes / max(1, len(labels))
        return loss, slope.reshape(z.shape)

    def lower(self, site: LossSite) -> None:
        """Counts the examples, then one `ctc` for value and gradient."""
        steps, classes = steps_of(site.z.shape), site.z.shape[-1]
        detail = CtcDetail(self.weight, steps, classes, self.labels, self.blank, site.lengths is not None)
        site.op("count_examples", "count", (), (site.count,), None)
        timed = () if site.lengths is None else (site.lengths,)
        needed = () if site.dz is None else (site.count,)
        reads = (site.z, site.target, site.sample_weights, *timed, *needed)
        site.op("ctc", "loss", reads, site.results, detail)


def steps_of(shape: Shape) -> int:
    """The steps of a sequence; a vector is one."""
    return shape[0] if len(shape) > 1 else 1


def needed_steps(labels: Array) -> int:
    """The least number of steps for these labels: one each, and a blank between two that are the same."""
    return len(labels) + int((labels[1:] == labels[:-1]).sum())


def _align(z: Array, labels: Array, blank: int) -> tuple[float, Array]:
    """-log p of labels over all steps of z (steps, classes), and its gradient; infinite and NaN if there is no way."""
    if len(z) < needed_steps(labels):
        return np.inf, np.full_like(z, np.nan)
    if not len(z):
        return 0.0, np.zeros_like(z)
    logs = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    skips = np.zeros(len(states), bool)
    skips[3::2] = labels[1:] != labels[:-1]
    alpha, beta = (np.full((len(z), len(states)), -np.inf) for _ in range(2))
    alpha[0, :2], beta[-1, -2:] = logs[0, states[:2]], 0
    for t in range(1, len(z)):
        alpha[t] = logs[t, states] + _ways(alpha[t - 1], skips)
    for t in range(len(z) - 2, -1, -1):
        turned = np.concatenate([[False, False], skips[:1:-1]]) if len(states) > 2 else skips
        beta[t] = _ways((beta[t + 1] + logs[t + 1, states])[::-1], turned)[::-1]
    total = np.logaddexp.reduce(alpha[-1, -2:])
    dz = np.exp(logs)
    np.subtract.at(dz.T, states, np.exp(alpha + beta - total).T)
    return -total, dz


def _ways(before: Array, skips: Array) -> Array:
    """The log-probability of each state: from itself, from the one before it, and where it `skips` from that before."""
    one = np.concatenate([[-np.inf], before[:-1]])
    two = np.where(skips, np.concatenate([[-np.inf, -np.inf], before])[: len(before)], -np.inf)
    found: Array = np.logaddexp(np.logaddexp(before, one), two)
    return found
