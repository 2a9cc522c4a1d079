"""What `make soak` watches for an hour, for a moment."""

from __future__ import annotations

import pytest

from soak import models

SPEC = """net Dropped {
  input x: 9
  dense(200) -> relu -> dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=0.001)
  batch     64
}
"""


@pytest.mark.slow
def test_models_that_are_dropped_leave_nothing() -> None:
    """Also those of several megabytes, with threads and a copy each."""
    large = SPEC.replace("200", "200) -> relu -> dense(2000")
    assert models(25, large, (9,)) == []
