"""The `train` part of random networks: every setting there is, where it has an effect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from dslc import clips, optimizers, registry, regularizers, schedules
from dslc.checker.metrics import CONFUSION, METRICS
from dslc.clips import Clip
from dslc.optimizers import Optimizer
from dslc.regularizers import Regularizer
from dslc.schedules import Schedule
from fuzzing.calls import call, init, one
from fuzzing.rules import BATCHES, fits_target_unit, has_metric

if TYPE_CHECKING:
    from fuzzing.specs import Body

PRECISE = re.compile(r"\bconv\(\w+, 3x3, pad=same\)")
"""What `precise on` has an effect on."""
QUANTIZE = "quantize int8"


def settings(body: Body) -> Iterator[str]:
    """The lines of `train`."""
    yield from (f"loss {head}: {judged.text}" for head, judged in body.heads.items())
    yield from _learning_rate(body)
    yield from _steps(body)
    yield from _weights(body)
    yield from _best_epoch(body)
    yield from _switches(body)


def _learning_rate(body: Body) -> Iterator[str]:
    """Optimizer and schedule: one_cycle has a learning rate of its own."""
    known, chain = registry.every(schedules, Schedule), ""
    schedule = body.of(tuple(known)) if body.chance(2) else ""
    alone = registry.every(optimizers, Optimizer)
    if schedule == "one_cycle":
        del alone["lookahead"]  # whose rate is that of the optimizer inside
        name = body.of(tuple(alone))
        yield f"optimizer {call(body, name, alone[name], without=('lr',))}"
    else:
        yield f"optimizer {one(body, alone)}"
    if schedule:
        chain = "warmup(3) -> " if schedule != "warmup" and body.chance(2) else ""
        yield f"schedule {chain}{call(body, schedule, known[schedule])}"


def _steps(body: Body) -> Iterator[str]:
    """Mini-batches, and what each step does beside the optimizer."""
    batch = body.of(BATCHES)
    slices = [k for k in (2, 3, 5) if batch % k == 0]
    yield f"batch {batch} in {body.of(slices)}" if slices and body.chance(5) else f"batch {batch}"
    if body.chance(6):
        yield "average ema(decay=0.5)"
    if body.chance(4):
        yield f"clip {one(body, registry.every(clips, Clip))}"
    if body.chance(6):
        yield f"on_nan {body.of(('skip', 'halve_lr', 'stop'))}"
    if body.chance(6):
        yield f"memory {body.of(('low', '100MB'))}"
    if body.chance(8):
        yield f"epochs {body.of((3, 1))}"


def _weights(body: Body) -> Iterator[str]:
    """What concerns weights, where some are left that it can reach: two layers, as `freeze` may take one."""
    reached = [
        f"{name}({body.of((0.1, 1.0, 0.01))})"
        for name in registry.every(regularizers, Regularizer)
        if len(set(body.weighted) - body.penalized) > 1 and body.chance(4)
    ]
    if reached:
        yield f"regularize {', '.join(reached)}"
    if set(body.asking) - body.started and body.chance(6):
        yield f"init {init(body)}"
    unpunished = [name for name in body.learning if name not in body.penalized]
    if len(body.learning) > 1 and unpunished and body.chance(8):
        yield f"freeze {unpunished[0]}"


def _best_epoch(body: Body) -> Iterator[str]:
    """Metrics that some output has; one of them to stop by, or to choose an epoch by."""
    answers = {name: judged for name, judged in body.heads.items() if name not in body.train_only}
    having = {
        name: heads
        for name in ("top2", *(name for name in METRICS if name != "top5"), CONFUSION)
        if (heads := [head for head, judged in answers.items() if has_metric(judged.loss, judged.shape, name)])
    }
    if having and body.chance(4):
        yield f"metrics {', '.join(body.some(list(having), most=3))}"
    columns = ["dev_loss", *(f"dev_{name}" for name in having if len(answers) == 1 and name != CONFUSION)]
    if len(answers) > 1:
        columns += [f"dev_{head}_loss" for head in answers]
        columns += [f"dev_{head}_{name}" for name, heads in having.items() if name != CONFUSION for head in heads]
    optimized = body.chance(6)
    if optimized:
        bound = body.of(("", " subject_to kilobytes <= 100000", " subject_to predict_us <= 0.001, parameters > 3"))
        yield f"optimize {body.of((*columns, 'parameters'))}{bound}"
    if body.chance(4):
        metric = f", metric={body.of(('loss', *columns))}" if not optimized and body.chance(2) else ""
        yield f"stop early({body.of((1, 3))}{metric})"


def _switches(body: Body) -> Iterator[str]:
    """Settings of one value."""
    if body.chance(4):
        yield f"seed {body.draw(st.integers(1, 99))}"
    if body.chance(8):
        yield "shuffle off"
    if body.chance(4) and any(PRECISE.search(line) for line in body.lines if not line.startswith("when")):
        yield "precise on"
    judged = list(body.heads.values())
    if body.chance(2) and fits_target_unit([j.loss for j in judged], [j.last for j in judged]):
        yield "standardize_target on"
    rounds = body.integers and not body.chance(8)
    if rounds:
        yield QUANTIZE
    mixes = not rounds and not {"dense", "attention"}.isdisjoint(body.numbers)
    if body.chance(2):
        yield f"precision {body.of(('float64', 'mixed') if mixes else ('float64',))}"
