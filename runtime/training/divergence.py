"""What is said where the loss is no longer a finite number: where, the likely cause, and what to try."""

from __future__ import annotations

import numpy as np

from dslc.runtime.training.trainable import Trainable

LARGE = 1e3
"""No parameter of a network that learns is as large as this: it has been growing."""


def explain(model: Trainable) -> str:
    """The parameter that is to blame, with its layer's name, the likely cause and what helps."""
    broken = model.first_not_finite()
    if broken is not None:
        cause = f"{broken} is the first parameter that is not finite"
    else:
        sizes = {name: float(np.abs(array).max(initial=0)) for name, array in model.copy_weights().items()}
        largest = max(sizes, key=lambda name: sizes[name], default=None)
        if largest is None or sizes[largest] < LARGE:
            return (
                "no parameter is large, so an input, a target or an activation is: standardize the inputs; "
                "dslc inspect shows by layer where they explode"
            )
        cause = f"{largest} has grown to {sizes[largest]:.1e}"
    lr = model.learning_rate(model.epoch, model.step)
    return f"{cause}, so the learning rate {lr:g} is likely too high: try a tenth of it, a warmup, or clip"
