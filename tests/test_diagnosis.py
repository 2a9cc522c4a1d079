"""Bias and variance on the numbers of the course that the notes sum up (Ng, 'Structuring Machine Learning Projects':
'Bias and variance with mismatched data distributions', 'Understanding human-level performance')."""

from __future__ import annotations

import pytest

from dslc.runtime.analysis.diagnosis import Errors, diagnose, worst


@pytest.mark.parametrize(
    ("errors", "sizes", "first"),
    [
        (Errors(0.01, 0.08, 0.10), (0.07, 0.02), "avoidable bias"),
        (Errors(0.075, 0.08, 0.10), (0.005, 0.02), "variance"),
        (Errors(0, 0.01, 0.10, train_dev=0.09), (0.01, 0.08, 0.01), "variance"),
        (Errors(0, 0.01, 0.10, train_dev=0.015), (0.01, 0.005, 0.085), "data mismatch"),
        (Errors(0, 0.10, 0.12, train_dev=0.11), (0.10, 0.01, 0.01), "avoidable bias"),
        (Errors(0, 0.10, 0.20, train_dev=0.11), (0.10, 0.01, 0.09), "avoidable bias"),
        (Errors(0.04, 0.07, 0.12, train_dev=0.10, test=0.12), (0.03, 0.03, 0.02, 0), "avoidable bias"),
        (Errors(0.04, 0.07, 0.06, train_dev=0.10, test=0.06), (0.03, 0.03, -0.04, 0), "avoidable bias"),
        (Errors(0.01, 0.01, 0.02, test=0.09), (0, 0.01, 0.07), "overfitting to the dev set"),
    ],
)
def test_gaps(errors: Errors, sizes: tuple[float, ...], first: str) -> None:
    gaps = diagnose(errors)
    assert [gap.size for gap in gaps] == pytest.approx(sizes)
    found = worst(gaps)
    assert found is not None and found.name == first and found.advice


def test_nothing_to_do() -> None:
    assert worst(diagnose(Errors(0.1, 0.1, 0.1))) is None
    assert worst(diagnose(Errors(0.1, 0.05, 0.02, train_dev=0.04, test=0.01))) is None
