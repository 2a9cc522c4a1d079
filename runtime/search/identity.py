"""What the trials of a study have in common. Trials of different specs, epochs or data cannot be compared, so a study
keeps this and refuses any other."""

from __future__ import annotations

from difflib import ndiff
from typing import TYPE_CHECKING, Any

import optuna

from dslc.ir import Network, ParamValue
from dslc.language.diagnostics import DataError
from dslc.runtime.data.fingerprints import fingerprint
from dslc.runtime.search.ranges import distribution
from dslc.runtime.training.spec_text import as_trained

if TYPE_CHECKING:
    from dslc.runtime.data.datasets import Dataset

ATTRIBUTE = "search"
"""A study's attribute."""


def identity(network: Network, epochs: int, dataset: Dataset) -> dict[str, Any]:
    """What two calls must have in common to share a study: the spec with its fixed values, the epochs of a trial, and
    the targets and inputs."""
    assert dataset.dev is not None
    data = f"{len(dataset.train.y)} + {len(dataset.dev.y)} examples, {fingerprint(dataset.train.y)}"
    return {"spec": as_trained(network), "epochs": epochs, "data": data, "inputs": dataset.inputs}


def require_same_search(study: optuna.Study, ranges: tuple[ParamValue, ...], wanted: dict[str, Any]) -> None:
    """Makes a new study that of this search.

    Raises:
        DataError: it is that of another one.
    """
    ranged = {p.name: distribution(p) for p in ranges}
    for trial in study.get_trials(deepcopy=False):
        if trial.distributions and trial.distributions != ranged:
            raise _refusal(study, "searched other params or ranges")
    known = study.user_attrs.get(ATTRIBUTE)
    if known is None:
        study.set_user_attr(ATTRIBUTE, wanted)
        return
    for key, value in wanted.items():
        if known.get(key, value) != value:  # a study of an earlier version says nothing of inputs
            what = _changed_lines(known[key], value) if key == "spec" else f"{key}: {known[key]}, now {value}"
            raise _refusal(study, f"is of another search ({what})")


def _changed_lines(before: str, now: str) -> str:
    """The first line that differs, on both sides."""
    lines = [line for line in ndiff(before.splitlines(), now.splitlines()) if line[:2] in ("- ", "+ ")]
    return f"the spec had `{_first(lines, '-')}`, now `{_first(lines, '+')}`"


def _first(lines: list[str], sign: str) -> str:
    return next((line[2:].strip() for line in lines if line[0] == sign), "")


def _refusal(study: optuna.Study, words: str) -> DataError:
    return DataError(f"the study {study.study_name!r} {words}; choose another name with --study")
