"""Convolution, pooling and what moves pixels against PyTorch: the result, and the gradients of weights, bias and input.

All cases of a kind stand side by side in one network, each a head of its own behind a 1x1 convolution of its own, whose
gradient needs the gradient of the case's input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from helpers import Arrays, assert_close, data, load

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")]

HEIGHT, WIDTH, CHANNELS = 11, 12, 4
Case = Callable[..., "torch.Tensor"]


def conv(**options: object) -> Case:
    return lambda x, w, b: F.conv2d(x, w, b, **options)


def same(left: int, right: int, top: int, bottom: int, **options: object) -> Case:
    """PyTorch pads evenly, and knows `same` only without a stride: the padding by hand, ceil(n / s) results."""
    return lambda x, w, b: F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, **options)


CONVS: dict[str, Case] = {
    "conv(6, 3x3)": conv(),
    "conv(6, 3x3, pad=valid, bias=off)": conv(),
    "conv(5, 5x3, pad=2x1)": conv(padding=(2, 1)),
    "conv(3, 2x4, pad=3)": conv(padding=3),
    "conv(7, 3x2, stride=2x3)": conv(stride=(2, 3)),
    "conv(4, 1x1, stride=2)": conv(stride=2),
    "conv(4, 3x3, dilation=2x3)": conv(dilation=(2, 3)),
    "conv(6, 5x5, pad=same)": conv(padding="same"),
    "conv(6, 4x2, pad=same)": conv(padding="same"),
    "conv(6, 3x4, pad=same, dilation=2)": conv(padding="same", dilation=2),
    "conv(6, 3x3, pad=same, stride=2)": same(0, 1, 1, 1, stride=2),
    "conv(6, 4x5, pad=same, stride=3)": same(1, 1, 1, 1, stride=3),
    "conv(6, 3x3, pad=1, groups=2)": conv(padding=1, groups=2),
    "conv(8, 3x3, groups=4)": conv(groups=4),
    "conv(4, 3x2, pad=2x1, stride=2x1, dilation=2, groups=4)": conv(
        padding=(2, 1), stride=(2, 1), dilation=2, groups=4
    ),
    "conv(9, 11x12)": conv(),
    "conv(6, 3x3, pad=(0, 2, 1, 0), stride=2)": same(1, 0, 0, 2, stride=2),
    "depthwise(3x3, pad=same)": conv(padding="same", groups=CHANNELS),
    "depthwise(3x2, stride=2, pad=1, multiplier=2)": conv(stride=2, padding=1, groups=CHANNELS),
}


def transposed(**options: object) -> Case:
    return lambda x, w, b: F.conv_transpose2d(x, w, b, **options)


TRANSPOSED: dict[str, Case] = {
    "conv_transpose(6, 3x3)": transposed(),
    "conv_transpose(5, 2x2, stride=2, bias=off)": transposed(stride=2),
    "conv_transpose(5, 4x4, stride=2, pad=1)": transposed(stride=2, padding=1),
    "conv_transpose(20, 3x2, stride=2x3, pad=1x0, output_pad=1x2)": transposed(
        stride=(2, 3), padding=(1, 0), output_padding=(1, 2)
    ),
    "conv_transpose(6, 3x3, dilation=2, pad=2)": transposed(dilation=2, padding=2),
    "conv_transpose(6, 3x3, stride=2, groups=2)": transposed(stride=2, groups=2),
    "conv_transpose(4, 3x3, stride=2, groups=4, pad=1)": transposed(stride=2, groups=4, padding=1),
    "conv_transpose(33, 5x5, pad=2)": transposed(padding=2),
    "conv_transpose(3, 1x1, stride=3)": transposed(stride=3),
}


def unshuffled(x: torch.Tensor, block: int) -> torch.Tensor:
    """PyTorch counts the pixels of a square within a channel, TensorFlow and dslc the channels within a pixel."""
    n, c, h, w = x.shape
    return F.pixel_unshuffle(x, block).reshape(n, c, block**2, h // block, w // block).transpose(1, 2).flatten(1, 2)


def shuffled(x: torch.Tensor, block: int) -> torch.Tensor:
    n, c, h, w = x.shape
    return F.pixel_shuffle(x.reshape(n, block**2, c // block**2, h, w).transpose(1, 2).flatten(1, 2), block)


def upsample(scale: object, mode: str = "nearest") -> Case:
    return lambda x: F.interpolate(x, scale_factor=scale, mode=mode)


MOVES: dict[str, Case] = {
    "upsample": upsample((2.0, 2.0)),
    "upsample(3x1)": upsample((3.0, 1.0)),
    "upsample(2, bilinear)": upsample((2.0, 2.0), "bilinear"),
    "upsample(1x3, bilinear)": upsample((1.0, 3.0), "bilinear"),
    "upsample(4x3, mode=bilinear)": upsample((4.0, 3.0), "bilinear"),
    "zeropad(2)": lambda x: F.pad(x, (2, 2, 2, 2)),
    "zeropad(1x0)": lambda x: F.pad(x, (0, 0, 1, 1)),
    "zeropad((0, 1, 2, 3))": lambda x: F.pad(x, (2, 3, 0, 1)),
    "slice(1, 3)": lambda x: x[:, 1:3],
    "zeropad((0, 1, 0, 0)) -> space_to_depth(2)": lambda x: unshuffled(F.pad(x, (0, 0, 0, 1)), 2),
    "depth_to_space(2)": lambda x: shuffled(x, 2),
    "channel_shuffle(2)": lambda x: F.channel_shuffle(x, 2),
}


def maxpool(size: object, stride: object, padding: object = 0, ceil: bool = False) -> Case:
    return lambda x: F.max_pool2d(x, size, stride, padding, ceil_mode=ceil)


def avgpool(size: object, stride: object, padding: object = 0, ceil: bool = False, count_pad: bool = False) -> Case:
    return lambda x: F.avg_pool2d(x, size, stride, padding, ceil, count_pad)


def max_same(x: torch.Tensor) -> torch.Tensor:
    """3x3, stride 2: of 11 rows one more on either side, of 12 columns one more on the right."""
    return F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-torch.inf), 3, 2)


def avg_same(x: torch.Tensor) -> torch.Tensor:
    """The same windows: the sum, divided by how many real pixels there are."""
    real = F.pad(torch.ones_like(x), (0, 1, 1, 1))
    return F.avg_pool2d(F.pad(x, (0, 1, 1, 1)), 3, 2) / F.avg_pool2d(real, 3, 2)


POOLS: dict[str, Case] = {
    "maxpool(2x2)": maxpool(2, 2),
    "avgpool(2x2)": avgpool(2, 2),
    "maxpool(3x3, stride=2)": maxpool(3, 2),
    "avgpool(3x3, stride=2)": avgpool(3, 2),
    "maxpool(3x2, stride=1, pad=1)": maxpool((3, 2), 1, 1),
    "avgpool(3x2, stride=1, pad=1)": avgpool((3, 2), 1, 1),
    "maxpool(5x4, stride=2x3, pad=2x1)": maxpool((5, 4), (2, 3), (2, 1)),
    "avgpool(5x4, stride=2x3, pad=2x1)": avgpool((5, 4), (2, 3), (2, 1)),
    "maxpool(2x1, stride=3x2)": maxpool((2, 1), (3, 2)),
    "avgpool(2x1, stride=3x2)": avgpool((2, 1), (3, 2)),
    "maxpool(3x3, stride=1, pad=same)": maxpool(3, 1, 1),
    "avgpool(3x3, stride=1, pad=same)": avgpool(3, 1, 1),
    "maxpool(3x3, stride=2, pad=same)": max_same,
    "avgpool(3x3, stride=2, pad=same)": avg_same,
    "maxpool(3x3, stride=2, ceil=on)": maxpool(3, 2, ceil=True),
    "avgpool(3x3, stride=2, ceil=on)": avgpool(3, 2, ceil=True),
    "maxpool(2x2, stride=3x4, pad=1, ceil=on)": maxpool(2, (3, 4), 1, ceil=True),
    "avgpool(4x3, stride=3, pad=2x1, ceil=on)": avgpool((4, 3), 3, (2, 1), ceil=True),
    "avgpool(4x3, stride=3, pad=2x1, ceil=on, count_pad=on)": avgpool((4, 3), 3, (2, 1), ceil=True, count_pad=True),
    "avgpool(3x3, stride=1, pad=1, count_pad=on)": avgpool(3, 1, 1, count_pad=True),
    "avgpool(5x4, stride=2x3, pad=2x1, count_pad=on)": avgpool((5, 4), (2, 3), (2, 1), count_pad=True),
    "global_maxpool(keep=on)": lambda x: x.amax((2, 3), keepdim=True),
    "global_avgpool(keep=on)": lambda x: x.mean((2, 3), keepdim=True),
    "global_maxpool": lambda x: x.amax((2, 3)),
    "global_avgpool": lambda x: x.mean((2, 3)),
}


WEIGHTED = ("conv", "depthwise", "conv_transpose")


def network(cases: dict[str, Case]) -> str:
    """Each case behind a convolution called before1, before2, ...; a layer of the case itself is called case1, ..."""
    heads, losses = [], []
    for i, text in enumerate(cases, 1):
        layer, _, arguments = text.partition("(")
        named = f"{layer}({arguments[:-1]}, name=case{i})" if layer in WEIGHTED else text
        heads.append(f"output y{i} = image -> conv({CHANNELS}, 1x1, bias=off, name=before{i}) -> {named}")
        losses.append(f"loss y{i}: mse")
    body = "\n  ".join([f"input image: {HEIGHT}x{WIDTH}x{CHANNELS}", *heads])
    settings = "\n  ".join([*losses, "optimizer sgd(lr=0.1)", "batch 6"])
    return f"net Windows {{\n  {body}\n}}\ntrain {{\n  {settings}\n}}\n"


def to_torch(array: np.ndarray) -> torch.Tensor:
    """Filters as PyTorch has them: (filters, channels, height, width)."""
    return torch.tensor(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, requires_grad=True)


def from_torch(y: torch.Tensor) -> torch.Tensor:
    return y.permute(0, 2, 3, 1) if y.ndim == 4 else y


def outputs_of(cases: dict[str, Case], p: dict[str, torch.Tensor], image: np.ndarray) -> list[torch.Tensor]:
    x = torch.tensor(image).permute(0, 3, 1, 2)
    results = []
    for i, (text, case) in enumerate(cases.items(), 1):
        before = F.conv2d(x, p[f"before{i}.weight"])
        own = (p[f"case{i}.weight"], p.get(f"case{i}.bias")) if text.partition("(")[0] in WEIGHTED else ()
        results.append(from_torch(case(before, *own)))
    return results


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 2e-5)])
@pytest.mark.parametrize("cases", [CONVS, TRANSPOSED, POOLS, MOVES], ids=["conv", "transposed", "pool", "moves"])
def test_windows(cases: dict[str, Case], dtype: str, tolerance: float, rng: np.random.Generator) -> None:
    """On a full mini-batch, a part of one, and a single example."""
    model = load(network(cases), rng, dtype)
    for n in (6, 4, 1):
        xs, ys = data(model.network, n, rng, dtype)
        p = {name: to_torch(view.numpy().astype(np.float64)) for name, view in model.parameters.items()}
        found = outputs_of(cases, p, xs["image"])
        predicted: Arrays = model.predict(xs)
        names = dict(zip(cases, ys, strict=True))
        for (text, name), wanted in zip(names.items(), found, strict=True):
            assert_close(predicted[name], wanted.detach().numpy(), tolerance, f"{text} of {n}")
        sum(F.mse_loss(y, torch.tensor(ys[name])) for name, y in zip(ys, found, strict=True)).backward()
        for name, gradient in model.gradients(xs, ys).items():
            number = int(name.partition(".")[0].removeprefix("before").removeprefix("case"))
            text = list(cases)[number - 1]
            wanted = p[name].grad.numpy()
            wanted = wanted.transpose(2, 3, 1, 0) if wanted.ndim == 4 else wanted
            assert_close(gradient, wanted, tolerance, f"{name} of {text} of {n}")
