"""Small versions of published networks in PyTorch, as they are written there: what `dslc import` is tried on.

python tests/onnx_models.py             # exports all, by both exporters, imports them, and counts
python tests/onnx_models.py densenet    # one, with its spec
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

Model = Callable[[], tuple[nn.Module, tuple[int, ...]]]
MODELS: dict[str, Model] = {}
"""By name: a module, and the size of an example."""


def model(*size: int) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Adds a model for examples of this size to the list."""

    def add(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        MODELS[build.__name__.strip("_")] = lambda: (build(), size)
        return build

    return add


class Do(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def conv_bn(
    a: int, b: int, size: int = 3, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    """A convolution without a bias, batch norm, and an activation."""
    conv = nn.Conv2d(a, b, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(b), nn.ReLU() if act is None else act)


# ------------------------------------------------------------------------------------------- vectors


def _mlp(activation: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(7, 16), activation, nn.Linear(16, 5), nn.Softmax(dim=1))


ACTIVATIONS = (
    nn.ReLU(),
    nn.ReLU6(),
    nn.LeakyReLU(0.2),
    nn.ELU(),
    nn.SELU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Softplus(),
    nn.Softsign(),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Hardtanh(),
    nn.PReLU(),
    nn.LogSigmoid(),
    nn.GLU(),
)
for _a in ACTIVATIONS:
    _name = f"mlp_{type(_a).__name__.lower()}{'_tanh' if getattr(_a, 'approximate', '') == 'tanh' else ''}"
    if isinstance(_a, nn.GLU):
        MODELS[_name] = lambda a=_a: (nn.Sequential(nn.Linear(7, 16), a, nn.Linear(8, 5)), (7,))
    else:
        MODELS[_name] = lambda a=_a: (_mlp(a)(), (7,))


@model(30)
def mlp_batchnorm() -> nn.Module:
    return nn.Sequential(
        nn.Linear(30, 24, bias=False),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(24, 3),
        nn.LogSoftmax(1),
    )


@model(1, 28, 28)
def mlp_of_images() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


@model(12)
def mlp_layernorm() -> nn.Module:
    return nn.Sequential(nn.Linear(12, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 2))


@model(40)
def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Linear(40, 12),
        nn.ReLU(),
        nn.Linear(12, 3),
        nn.ReLU(),
        nn.Linear(3, 12),
        nn.ReLU(),
        nn.Linear(12, 40),
        nn.Sigmoid(),
    )


@model(10)
def mlp_residual() -> nn.Module:
    return Do(
        lambda m, x: m.out(torch.cat([x, functional.relu(m.a(x)) + x, torch.tanh(m.b(x)) * x], dim=1)),
        a=nn.Linear(10, 10),
        b=nn.Linear(10, 10),
        out=nn.Linear(30, 4),
    )


@model(6)
def normalized() -> nn.Module:
    """Scaled inputs, a cosine at the end."""
    return Do(lambda m, x: functional.normalize(m.a((x - 0.5) / 0.25), dim=1), a=nn.Linear(6, 8))


# ------------------------------------------------------------------------------------------- images


@model(1, 28, 28)
def lenet5() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
        nn.Softmax(1),
    )


@model(3, 48, 48)
def alexnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(16, 24, 5, padding=2, groups=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(96, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


@model(3, 32, 32)
def vgg() -> nn.Module:
    features = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(True),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(True),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(True),
        nn.MaxPool2d(2, 2),
    )
    classifier = nn.Sequential(nn.Linear(16 * 64, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 10))
    return Do(lambda m, x: m.classifier(torch.flatten(m.features(x), 1)), features=features, classifier=classifier)


@model(3, 32, 32)
def all_convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Dropout(0.2),
        nn.Conv2d(3, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(12, 10, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Softmax(1),
    )


@model(3, 32, 32)
def network_in_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 12, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(12, 8, 1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(),
        nn.Conv2d(8, 10, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(8, stride=1),
        nn.MaxPool2d(9),
        nn.Flatten(),
    )


class Basic(nn.Module):
    """The block of ResNet-18."""

    def __init__(self, a: int, b: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        self.conv2, self.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.down = (
            None if stride == 1 and a == b else nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + (x if self.down is None else self.down(x)))


@model(3, 32, 32)
def resnet18() -> nn.Module:
    return nn.Sequential(
        conv_bn(3, 8, 7, 2),
        nn.MaxPool2d(3, 2, 1),
        Basic(8, 8),
        Basic(8, 16, 2),
        Basic(16, 16),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


@model(3, 32, 32)
def resnet_shortcut_a() -> nn.Module:
    """The shortcut of ResNet-20: every other pixel, and channels of zeros."""
    return Do(
        lambda m, x: m.c(m.a(x)).add(functional.pad(m.a(x)[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))).mean((2, 3)),
        a=conv_bn(3, 8),
        c=conv_bn(8, 16, 3, 2),
    )


@model(3, 16, 16)
def resnet_preactivation() -> nn.Module:
    return Do(
        lambda m, x: m.head((m.a(x) + m.b(m.a(x))).mean(dim=[2, 3])),
        a=nn.Conv2d(3, 8, 3, padding=1),
        b=nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)),
        head=nn.Linear(8, 4),
    )


@model(3, 32, 32)
def resnext() -> nn.Module:
    body = nn.Sequential(conv_bn(8, 8, 1), conv_bn(8, 8, 3, groups=4), conv_bn(8, 8, 1, act=nn.Identity()))
    return Do(
        lambda m, x: m.head(functional.relu(m.body(m.stem(x)) + m.stem(x)).mean((2, 3))),
        stem=conv_bn(3, 8, 3, 2),
        body=body,
        head=nn.Linear(8, 10),
    )


@model(3, 32, 32)
def densenet() -> nn.Module:
    def layer(a: int) -> nn.Module:
        return nn.Sequential(
            nn.BatchNorm2d(a),
            nn.ReLU(),
            nn.Conv2d(a, 8, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 4, 3, padding=1, bias=False),
        )

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.stem(x)
        x = torch.cat([x, m.a(x)], 1)
        x = torch.cat([x, m.b(x)], 1)
        return m.head(functional.adaptive_avg_pool2d(functional.relu(m.norm(m.transition(x))), 1).flatten(1))

    transition = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1, bias=False), nn.AvgPool2d(2, 2))
    return Do(
        forward,
        stem=nn.Conv2d(3, 8, 3, padding=1),
        a=layer(8),
        b=layer(12),
        transition=transition,
        norm=nn.BatchNorm2d(8),
        head=nn.Linear(8, 10),
    )


@model(3, 32, 32)
def mobilenet_v1() -> nn.Module:
    def separable(a: int, b: int, stride: int) -> nn.Module:
        return nn.Sequential(conv_bn(a, a, 3, stride, a), conv_bn(a, b, 1))

    return nn.Sequential(
        conv_bn(3, 8, 3, 2), separable(8, 16, 1), separable(16, 24, 2), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(24, 10)
    )


class Inverted(nn.Module):
    """The block of MobileNetV2 and MNASNet; with `se` that of MobileNetV3, with silu that of EfficientNet."""

    def __init__(
        self,
        a: int,
        wide: int,
        b: int,
        size: int = 3,
        stride: int = 1,
        act: nn.Module | None = None,
        se: nn.Module | None = None,
    ) -> None:
        super().__init__()
        act = act or nn.ReLU6()
        squeeze = [] if se is None else [Squeeze(wide, act, se)]
        self.body = nn.Sequential(
            conv_bn(a, wide, 1, act=act),
            conv_bn(wide, wide, size, stride, wide, act),
            *squeeze,
            conv_bn(wide, b, 1, act=nn.Identity()),
        )
        self.adds = stride == 1 and a == b

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class Squeeze(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels: int, act: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.pool, self.fc1, self.fc2 = nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.act, self.gate = act, gate

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(self.fc2(self.act(self.fc1(self.pool(x))))) * x


@model(3, 32, 32)
def mobilenet_v2() -> nn.Module:
    return nn.Sequential(
        conv_bn(3, 8, 3, 2, act=nn.ReLU6()),
        Inverted(8, 16, 8),
        Inverted(8, 24, 12, 3, 2),
        Inverted(12, 24, 12),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(12, 10),
    )


@model(3, 32, 32)
def mobilenet_v3() -> nn.Module:
    h = nn.Hardswish()
    return nn.Sequential(
        conv_bn(3, 8, 3, 2, act=h),
        Inverted(8, 8, 8, 3, 2, nn.ReLU(), nn.Hardsigmoid()),
        Inverted(8, 16, 8, 5, 1, h, nn.Hardsigmoid()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 16),
        h,
        nn.Linear(16, 10),
    )


@model(3, 32, 32)
def mnasnet() -> nn.Module:
    return nn.Sequential(
        conv_bn(3, 8, 3, 2),
        conv_bn(8, 8, 3, 1, 8),
        nn.Conv2d(8, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        Inverted(6, 18, 8, 5, 2, nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


@model(3, 32, 32)
def efficientnet() -> nn.Module:
    s = nn.SiLU()
    return nn.Sequential(
        conv_bn(3, 8, 3, 2, act=s),
        Inverted(8, 32, 8, 3, 1, s, nn.Sigmoid()),
        Inverted(8, 32, 16, 5, 2, s, nn.Sigmoid()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


@model(3, 32, 32)
def regnet() -> nn.Module:
    def block(a: int, b: int, stride: int) -> nn.Module:
        body = nn.Sequential(
            conv_bn(a, b, 1),
            conv_bn(b, b, 3, stride, b // 4),
            Squeeze(b, nn.ReLU(), nn.Sigmoid()),
            conv_bn(b, b, 1, act=nn.Identity()),
        )
        return Do(
            lambda m, x: functional.relu(m.proj(x) + m.body(x)),
            proj=conv_bn(a, b, 1, stride, act=nn.Identity()),
            body=body,
        )

    return nn.Sequential(conv_bn(3, 8, 3, 2), block(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class Fire(nn.Module):
    """The block of SqueezeNet."""

    def __init__(self, a: int, s: int, e: int) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = nn.Conv2d(a, s, 1), nn.Conv2d(s, e, 1), nn.Conv2d(s, e, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze(x))
        return torch.cat([functional.relu(self.one(x)), functional.relu(self.three(x))], 1)


@model(3, 35, 35)
def squeezenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(8, 4, 8),
        Fire(16, 4, 8),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Dropout(),
        nn.Conv2d(16, 10, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
    )


@model(3, 33, 33)
def googlenet() -> nn.Module:
    def inception(a: int) -> nn.Module:
        return Do(
            lambda m, x: torch.cat([m.a(x), m.b(x), m.c(x), m.d(x)], 1),
            a=conv_bn(a, 4, 1),
            b=nn.Sequential(conv_bn(a, 4, 1), conv_bn(4, 6)),
            c=nn.Sequential(conv_bn(a, 2, 1), conv_bn(2, 4)),
            d=nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_bn(a, 4, 1)),
        )

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        """With the normalization of each channel that torchvision puts before pretrained weights."""
        x = torch.cat([torch.unsqueeze(x[:, i], 1) * (0.2 + i / 10) + (i - 1) / 10 for i in range(3)], 1)
        return m.head(torch.flatten(m.pool(m.body(x)), 1))

    return Do(
        forward,
        body=nn.Sequential(conv_bn(3, 8, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), inception(8), inception(18)),
        pool=nn.AdaptiveAvgPool2d(1),
        head=nn.Linear(18, 10),
    )


@model(3, 31, 31)
def inception_v3() -> nn.Module:
    """Filters of 1x7 and 7x1; average pools that count their padding."""
    return Do(
        lambda m, x: m.head(torch.cat([m.b(m.a(x)), functional.avg_pool2d(m.a(x), 3, 1, 1)], 1).mean((2, 3))),
        a=conv_bn(3, 6, 3, 2),
        b=nn.Sequential(nn.Conv2d(6, 4, (1, 7), padding=(0, 3)), nn.ReLU(), nn.Conv2d(4, 4, (7, 1), padding=(3, 0))),
        head=nn.Linear(10, 5),
    )


class Shuffle(nn.Module):
    """The block of ShuffleNetV2."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        half, self.stride = b // 2, stride
        inner = a if stride > 1 else half
        self.left = (
            nn.Sequential(conv_bn(a, a, 3, 2, a, nn.Identity()), conv_bn(a, half, 1)) if stride > 1 else nn.Sequential()
        )
        self.right = nn.Sequential(
            conv_bn(inner, half, 1), conv_bn(half, half, 3, stride, half, nn.Identity()), conv_bn(half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            a, b = x.chunk(2, dim=1)
            y = torch.cat((a, self.right(b)), dim=1)
        else:
            y = torch.cat((self.left(x), self.right(x)), dim=1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


@model(3, 32, 32)
def shufflenet_v2() -> nn.Module:
    return nn.Sequential(
        conv_bn(3, 8, 3, 2),
        Shuffle(8, 16, 2),
        Shuffle(16, 16, 1),
        Shuffle(16, 16, 1),
        conv_bn(16, 20, 1),
        Do(lambda m, x: x.mean([2, 3])),
        nn.Linear(20, 10),
    )


class LastNorm(nn.Module):
    """A layer norm of the channels of each pixel, between two transpositions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@model(3, 32, 32)
def convnext() -> nn.Module:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = m.norm(m.depthwise(x).permute(0, 2, 3, 1))
        return x + (m.gamma.weight.view(-1) * m.two(functional.gelu(m.one(y)))).permute(0, 3, 1, 2)

    def block(c: int) -> nn.Module:
        gamma = nn.Linear(1, c, bias=False)
        return Do(
            forward,
            depthwise=nn.Conv2d(c, c, 7, padding=3, groups=c),
            norm=nn.LayerNorm(c, eps=1e-6),
            one=nn.Linear(c, 4 * c),
            two=nn.Linear(4 * c, c),
            gamma=gamma,
        )

    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4),
        LastNorm(8),
        block(8),
        block(8),
        LastNorm(8),
        nn.Conv2d(8, 12, 2, 2),
        block(12),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.LayerNorm(12, eps=1e-6),
        nn.Linear(12, 10),
    )


@model(3, 16, 16)
def mlp_mixer() -> nn.Module:
    """Without its mixing of tokens: a multilayer perceptron of every patch."""
    return Do(
        lambda m, x: m.head(m.mlp(m.patch(x).flatten(2).transpose(1, 2)).mean(1)),
        patch=nn.Conv2d(3, 8, 4, 4),
        mlp=nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)),
        head=nn.Linear(8, 10),
    )


@model(3, 32, 32)
def unet_transposed() -> nn.Module:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        a = m.a(x)
        return m.out(m.c(torch.cat([m.up(m.b(functional.max_pool2d(a, 2))), a], dim=1)))

    return Do(
        forward,
        a=conv_bn(3, 8),
        b=conv_bn(8, 16),
        up=nn.ConvTranspose2d(16, 8, 2, stride=2),
        c=conv_bn(16, 8),
        out=nn.Conv2d(8, 2, 1),
    )


@model(3, 32, 32)
def unet_upsampled() -> nn.Module:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        a = m.a(x)
        up = functional.interpolate(
            m.b(functional.max_pool2d(a, 2)), scale_factor=2, mode="bilinear", align_corners=False
        )
        return m.out(torch.cat([up, a], dim=1)).softmax(dim=1)

    return Do(forward, a=conv_bn(3, 8), b=conv_bn(8, 8), out=nn.Conv2d(16, 3, 1))


@model(3, 32, 32)
def feature_pyramid() -> nn.Module:
    """Larger by repeating pixels."""
    return Do(
        lambda m, x: m.c(functional.interpolate(m.b(m.a(x)), scale_factor=2, mode="nearest") + m.a(x)),
        a=conv_bn(3, 8),
        b=conv_bn(8, 8, 3, 2),
        c=nn.Conv2d(8, 4, 3, padding=1),
    )


@model(16)
def dcgan_generator() -> nn.Module:
    return Do(
        lambda m, z: m.body(z.view(-1, 16, 1, 1)),
        body=nn.Sequential(
            nn.ConvTranspose2d(16, 12, 4, 1, 0, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 3, 4, 2, 1),
            nn.Tanh(),
        ),
    )


@model(3, 32, 32)
def dcgan_discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 12, 4, 2, 1, bias=False),
        nn.BatchNorm2d(12),
        nn.LeakyReLU(0.2),
        nn.Conv2d(12, 1, 8),
        nn.Sigmoid(),
        nn.Flatten(),
    )


@model(3, 16, 16)
def super_resolution() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2))


@model(3, 16, 16)
def style_transfer() -> nn.Module:
    return nn.Sequential(
        nn.ZeroPad2d(4),
        nn.Conv2d(3, 8, 9),
        nn.InstanceNorm2d(8, affine=True),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, 2, 1),
        nn.InstanceNorm2d(8),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 3, 3, padding=1),
    )


@model(3, 16, 16)
def group_normalized() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.GroupNorm(4, 8),
        nn.SiLU(),
        nn.Conv2d(8, 8, 3, 2, 1),
        nn.GroupNorm(1, 8),
        nn.Mish(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@model(1, 32, 32)
def convolutional_autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 4, 3, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 8, 3, 2, 1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=1),
        nn.Sigmoid(),
    )


@model(3, 32, 32)
def darknet() -> nn.Module:
    leaky = nn.LeakyReLU(0.1)
    return nn.Sequential(
        conv_bn(3, 8, 3, act=leaky),
        nn.MaxPool2d(2),
        conv_bn(8, 16, 3, act=leaky),
        nn.MaxPool2d(2),
        conv_bn(16, 8, 1, act=leaky),
        nn.Conv2d(8, 10, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@model(3, 32, 32)
def yolo_focus() -> nn.Module:
    """Every other pixel as channels, and pools of the same image in a row."""

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        x = m.a(x)
        y = functional.max_pool2d(x, 5, 1, 2)
        return m.b(torch.cat([x, y, functional.max_pool2d(y, 5, 1, 2)], 1))

    return Do(forward, a=conv_bn(12, 8, act=nn.SiLU()), b=conv_bn(24, 8, 1, act=nn.SiLU()))


@model(1, 40, 10)
def keyword_spotting() -> nn.Module:
    """DS-CNN of MLPerf Tiny."""
    return nn.Sequential(
        nn.Conv2d(1, 8, (10, 4), 2, (5, 1)),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        conv_bn(8, 8, 3, 1, 8),
        conv_bn(8, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 12),
    )


@model(2, 64)
def signals() -> nn.Module:
    """Convolutions along one axis."""
    return nn.Sequential(
        nn.Conv1d(2, 8, 5, padding=2),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Conv1d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@model(3, 16, 16)
def maxout() -> nn.Module:
    return Do(
        lambda m, x: m.head(m.a(x).view(-1, 4, 2, 16, 16).amax(2).mean((2, 3))),
        a=nn.Conv2d(3, 8, 3, padding=1),
        head=nn.Linear(4, 3),
    )


@model(3, 16, 16)
def gated() -> nn.Module:
    return Do(
        lambda m, x: functional.glu(m.a(x), dim=1) * torch.sigmoid(m.b(x)),
        a=nn.Conv2d(3, 8, 3, padding=1),
        b=nn.Conv2d(3, 1, 1),
    )


@model(3, 16, 16)
def rms_normalized() -> nn.Module:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        x = m.a(x).permute(0, 2, 3, 1)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * m.gamma.weight.view(-1)
        return m.b(x).permute(0, 3, 1, 2)

    return Do(forward, a=nn.Conv2d(3, 8, 3), gamma=nn.Linear(1, 8, bias=False), b=nn.Linear(8, 4))


@model(3, 16, 16)
def two_heads() -> nn.Module:
    return Do(
        lambda m, x: (m.b(m.a(x)), torch.sigmoid(m.c(m.a(x).mean((2, 3))))),
        a=conv_bn(3, 8),
        b=nn.Conv2d(8, 2, 1),
        c=nn.Linear(8, 3),
    )


# ------------------------------------------------------------------------------------------- exporting


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A model with numbers off their round values, and two examples."""
    torch.manual_seed(0)
    module, size = MODELS[name]()
    with torch.no_grad():
        for key, array in module.state_dict().items():
            if array.is_floating_point():
                array += torch.rand_like(array) * 0.2 if key.endswith("var") else torch.randn_like(array) * 0.1
    return module.eval(), torch.randn(2, *size)


def export(name: str, path: Path, dynamo: bool) -> None:
    """Writes a model as ONNX with one of PyTorch's two exporters, for any number of examples."""
    module, x = build(name)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable()
        if dynamo:
            shapes = ({0: torch.export.Dim("batch")},)
            torch.onnx.export(
                module, (x,), path, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False
            )
        else:
            torch.onnx.export(module, (x,), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}})


def main() -> None:
    from dslc.interchange.importing import import_onnx

    names, counts = sys.argv[1:] or list(MODELS), [0, 0]
    for name in names:
        for dynamo in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"{name}.onnx"
                try:
                    export(name, path, dynamo)
                except Exception as error:
                    print(f"{name} {'dynamo' if dynamo else 'script'}: not exported: {str(error)[:200]}", flush=True)
                    continue
                try:
                    found = import_onnx(path, name)
                    counts[dynamo] += 1
                    print(f"{name} {'dynamo' if dynamo else 'script'}: {found.difference:.1e}", flush=True)
                    if sys.argv[1:]:
                        print(found.written.text)
                except Exception as error:
                    print(f"{name} {'dynamo' if dynamo else 'script'}: {error}", flush=True)
                    if type(error).__name__ != "DataError":
                        traceback.print_exc()
    print(f"{len(names)} models; {counts[0]} import from torch.onnx.export(dynamo=False), {counts[1]} with dynamo=True")


if __name__ == "__main__":
    main()
