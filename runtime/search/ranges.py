"""The ranges of params as distributions of Optuna, and what is drawn from them as values of the language."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import optuna

from dslc.ir import Network, ParamValue, Range
from dslc.language.arguments import show
from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import DataNote

WHOLE = {"uniform": "int", "log": "log_int"}
"""Ranges, and what they are in whole numbers."""
BESIDE = 0.382
"""So far from a whole number, a fraction is tried; a formula seldom makes a whole number of it again."""

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial


def searched(network: Network, fixed: Mapping[str, object]) -> tuple[ParamValue, ...]:
    """The params with a range that are not fixed.

    Raises:
        DataError: there are none.
    """
    ranged = [p for p in network.params if p.range is not None]
    if not ranged:
        raise DataError(
            "this spec has nothing to search: give a param a range, as in `param lr = 1e-3 in log(1e-4, 1e-1)`"
        )
    left = tuple(p for p in ranged if p.name not in fixed)
    if not left:
        raise DataError(f"nothing is left to search: -D fixes {', '.join(p.name for p in ranged)}")
    return left


def as_taken(param: ParamValue, checked: Callable[[float], Network | None]) -> ParamValue:
    """The param, with a range of whole numbers where the file takes no others: it checks with that of the file, and not
    with a fraction near it. checked: the network with a value, None where the file does not check. A note tells it."""
    assert param.range is not None
    kind, value = param.range.kind, param.value
    if kind not in WHOLE or not isinstance(value, (int, float)) or value != int(value):
        return param
    low, high = (float(b) for b in param.range.bounds)  # type: ignore[arg-type]
    far = high if high - value > value - low else low
    if checked(value + BESIDE * max(-1.0, min(1.0, far - value))):
        return param
    warnings.warn(f"{param.name} is drawn in whole numbers: the file takes no others", DataNote, stacklevel=3)
    return replace(param, range=Range(WHOLE[kind], (math.ceil(low), math.floor(high))))


def distribution(param: ParamValue) -> BaseDistribution:
    """The range as an Optuna distribution. `one_minus_log` samples 1 - value on a log scale (notes: 'Using an
    appropriate scale': beta between 0.9 and 0.999)."""
    assert param.range is not None
    kind, bounds = param.range.kind, param.range.bounds
    if kind == "choice":
        return optuna.distributions.CategoricalDistribution([_word(b) for b in bounds])
    low, high = (float(b) for b in bounds)  # type: ignore[arg-type]
    if kind in ("int", "log_int"):
        return optuna.distributions.IntDistribution(int(low), int(high), log=kind == "log_int")
    if kind == "one_minus_log":
        return optuna.distributions.FloatDistribution(1 - high, 1 - low, log=True)
    return optuna.distributions.FloatDistribution(low, high, log=kind == "log")


def suggest(trial: Trial, param: ParamValue) -> object:
    """The value of a param in a trial, as a value of the language."""
    asked = distribution(param)
    if isinstance(asked, optuna.distributions.CategoricalDistribution):
        return value_of(param, trial.suggest_categorical(param.name, asked.choices))
    if isinstance(asked, optuna.distributions.IntDistribution):
        return trial.suggest_int(param.name, asked.low, asked.high, log=asked.log)
    assert isinstance(asked, optuna.distributions.FloatDistribution)
    return value_of(param, trial.suggest_float(param.name, asked.low, asked.high, log=asked.log))


def value_of(param: ParamValue, drawn: Any) -> object:
    """A sample from Optuna as a value of the language, kept inside its range in spite of rounding."""
    assert param.range is not None
    kind, bounds = param.range.kind, param.range.bounds
    if kind == "choice":
        return next(b for b in bounds if _word(b) == drawn)
    if kind == "one_minus_log":
        return min(max(1 - drawn, bounds[0]), bounds[1])
    return drawn


def _word(value: object) -> int | float | str:
    """A choice as Optuna stores it: numbers as they are, everything else as a spec spells it."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else show(value)
