"""noise: adds normally distributed noise to every number of an example (notes: 'Data augmentation')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import NonNegative
from dslc.layers import Example, Mode
from dslc.layers._augmentation import Augmentation
from dslc.numerics import Array, np
from dslc.philox import random_words
from dslc.scalar import Scalar, scalar
from dslc.shape import Shape


@dataclass(frozen=True)
class NoiseDetail:
    """The standard deviation and the layer's random stream."""

    std: Scalar
    stream: int


@dataclass(frozen=True)
class Noise(Augmentation):
    """In training adds to every number a sample of the normal distribution with mean 0 and standard deviation std; 0 is
    off."""

    std: NonNegative

    examples = (Example("noise(0.3)", ((7,),)), Example("noise(2)", ((3, 5, 3),)))

    @property
    def hyperparameters(self) -> Mapping[str, float]:
        """The deviation."""
        return {} if self.off else {"std": self.std}

    @property
    def off(self) -> bool:
        """A deviation of 0."""
        return self.std == 0

    def augmented(self, x: Array, mode: Mode) -> Array:
        """By the method of Box and Muller (1958): the upper 24 bits of two words, which float32 holds exactly, are a
        distance and an angle, and give two samples. None is larger than sqrt(-2 log 2^-24) = 5.8 standard
        deviations."""
        words = random_words(x.size + x.size % 2, mode.seed, mode.step, mode.stream) >> np.uint32(8)
        distance = np.sqrt(-2 * np.log((words[0::2] + 1.0) / 2**24))
        angle = 2 * np.pi * (words[1::2] / 2**24)
        pairs = np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)
        return x + self.std * pairs.reshape(-1)[: x.size].reshape(x.shape)

    def detail(self, shape: Shape, stream: int) -> NoiseDetail:
        """Standard deviation and random stream for training."""
        return NoiseDetail(scalar(self.std), stream)
