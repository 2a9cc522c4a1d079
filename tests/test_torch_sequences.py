"""The NumPy references of layers over sequences against PyTorch's modules: result, and the gradients of weights and
inputs. That the C agrees with these references is tested with their examples."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.layers import Example, Mode
from dslc.layers.attention import Attention
from dslc.layers.permute import swaps
from dslc.shape import Shape, show_shape
from helpers import assert_close, example_spec

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch

Case = Callable[..., "torch.Tensor"]
SEQUENCE = (11, 6)


def over_steps(function: Callable[..., torch.Tensor]) -> Case:
    """A function of (n, channels, steps) over (n, steps, channels)."""
    return lambda x, p: function(x.mT, p).mT


def conv1d(left: int = 0, right: int = 0, **options: object) -> Case:
    """PyTorch's weights are (filters, channels, size)."""
    return over_steps(
        lambda x, p: F.conv1d(F.pad(x, (left, right)), p["weight"].permute(2, 1, 0), p.get("bias"), **options)
    )


CASES: dict[str, Case] = {
    "dense(4)": lambda x, p: F.linear(x, p["weight"], p["bias"]),
    "layernorm(eps=1e-3)": lambda x, p: F.layer_norm(x, (6,), p["gamma"], p["beta"], 1e-3),
    "batchnorm": over_steps(lambda x, p: F.batch_norm(x, None, None, p["gamma"], p["beta"], training=True)),
    "groupnorm(2)": over_steps(lambda x, p: F.group_norm(x, 2, p["gamma"], p["beta"])),
    "softmax": lambda x, p: F.softmax(x, -1),
    "glu": lambda x, p: F.glu(x, -1),
    "global_avgpool": lambda x, p: x.mean(1),
    "conv1d(5, 3)": conv1d(),
    "conv1d(5, 3, stride=2, bias=off)": conv1d(stride=2),
    "conv1d(5, 4, pad=same)": conv1d(1, 2),
    "conv1d(6, 3, pad=causal, dilation=2)": conv1d(4, 0, dilation=2),
    "conv1d(6, 2, pad=(0, 3), groups=3, stride=3)": conv1d(0, 3, groups=3, stride=3),
    "conv1d(6, 5, pad=2, groups=6)": conv1d(2, 2, groups=6),
    "maxpool1d(3, stride=2, pad=1, ceil=on)": over_steps(lambda x, p: F.max_pool1d(x, 3, 2, 1, ceil_mode=True)),
    "maxpool1d(2)": over_steps(lambda x, p: F.max_pool1d(x, 2)),
    "avgpool1d(3, pad=1, count_pad=on)": over_steps(lambda x, p: F.avg_pool1d(x, 3, 3, 1)),
    "avgpool1d(4, stride=3, ceil=on)": over_steps(
        lambda x, p: F.avg_pool1d(x, 4, 3, ceil_mode=True, count_include_pad=False)
    ),
}


MOVED: dict[str, tuple[tuple[Shape, ...], Callable[..., torch.Tensor]]] = {
    "permute((1, 0))": (((5, 3),), lambda x: x.permute(0, 2, 1)),
    "permute((0, 2, 1))": (((2, 3, 4),), lambda x: x.permute(0, 1, 3, 2)),
    "permute((1, 0, 2))": (((2, 3, 4),), lambda x: x.permute(0, 2, 1, 3)),
    "permute((1, 2, 0))": (((2, 3, 4),), lambda x: x.permute(0, 2, 3, 1)),
    "permute((2, 0, 1))": (((2, 3, 4),), lambda x: x.permute(0, 3, 1, 2)),
    "permute((2, 1, 0))": (((2, 3, 4),), lambda x: x.permute(0, 3, 2, 1)),
    "reduce_sum(steps, keep=on)": (((5, 3),), lambda x: x.sum(1, keepdim=True)),
    "reduce_mean((rows, channels))": (((2, 3, 4),), lambda x: x.mean((1, 3))),
    "reduce_max((rows, columns))": (((2, 3, 4),), lambda x: x.amax((1, 2))),
    "matmul": (((5, 3), (3, 4)), lambda a, b: a @ b),
    "matmul(transpose=first)": (((2, 3, 5), (2, 3, 4)), lambda a, b: a.mT @ b),
    "matmul(transpose=second)": (((5, 3), (4, 3)), lambda a, b: a @ b.mT),
    "matmul(transpose=both)": (((3, 5), (4, 3)), lambda a, b: a.mT @ b.mT),
}


@pytest.mark.parametrize("call", MOVED)
def test_products_and_axes_agree_with_pytorch(call: str, rng: np.random.Generator) -> None:
    shapes, case = MOVED[call]
    (node,) = check_text(example_spec(Example(call, shapes))).nodes[len(shapes) : -1]
    xs = tuple(rng.normal(size=(3, *shape)) for shape in shapes)
    found = node.layer.reference(xs, {}, Mode(training=True))
    given = [torch.tensor(x, requires_grad=True) for x in xs]
    y = case(*given)
    dy = rng.normal(size=y.shape)
    y.backward(torch.tensor(dy))
    assert_close(found.y, y.detach().numpy(), 1e-13, "y")
    for mine, theirs in zip(found.pull(dy)[0], given, strict=True):
        assert_close(mine, theirs.grad.numpy(), 1e-13, "dx")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_swaps_of_axes_are_the_permutation(order: tuple[int, ...]) -> None:
    """What `permute` is lowered to: neighbouring axes change places, at most twice."""
    x = np.arange(2 * 3 * 4)
    y, found = x, swaps((2, 3, 4), order)
    for d in found:
        y = y.reshape(d.outer, d.first, d.second, d.inner).swapaxes(1, 2).reshape(-1)
    assert np.array_equal(y, x.reshape(2, 3, 4).transpose(order).reshape(-1))
    assert len(found) <= 2


@pytest.mark.parametrize("call", CASES)
def test_agrees_with_pytorch(call: str, rng: np.random.Generator) -> None:
    require_agreement(call, SEQUENCE, CASES[call], rng)


@pytest.mark.parametrize("call", ["attention(3)", "attention(1, bias=off)", "attention(2, causal=on)"])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_agrees_with_pytorch(call: str, masked: bool, rng: np.random.Generator) -> None:
    """MultiheadAttention with the same weights; keys from the length of an example on are masked."""
    steps, channels = SEQUENCE
    lengths = np.array([[11.0], [1.0], [6.0]])

    def case(x: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
        heads = int(call.partition("(")[2][0])
        causal = torch.ones(steps, steps, dtype=torch.bool).triu(1) if "causal" in call else None
        hidden = torch.tensor(np.arange(steps) >= lengths) if masked else None
        y, _ = F.multi_head_attention_forward(
            x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1), channels, heads,
            p["weight_input"], p.get("bias_input"), None, None, False, 0.0, p["weight_output"], p.get("bias_output"),
            key_padding_mask=hidden, attn_mask=causal, need_weights=False,
        )  # fmt: skip
        return y.transpose(0, 1)

    require_agreement(call, SEQUENCE, case, rng, more=(lengths,) if masked else ())


@pytest.mark.parametrize("call", ["attention(3)", "attention(1, bias=off)"])
def test_attention_to_a_memory_agrees_with_pytorch(call: str, rng: np.random.Generator) -> None:
    """MultiheadAttention of queries with keys and values of another length and other channels (`kdim`, `vdim`), some of
    them masked by the lengths."""
    channels = SEQUENCE[1]
    memory, lengths = rng.normal(size=(3, 17, 5)), np.array([[17.0], [2.0], [9.0]])
    layer = Attention(int(call[10]), bias="off" not in call)
    p = {w.role: rng.normal(size=w.shape) for w in layer.parameters((SEQUENCE, (17, 5), (1,)))}
    twin = torch.nn.MultiheadAttention(
        channels, layer.heads, bias=layer.bias, kdim=5, vdim=5, batch_first=True, dtype=torch.float64
    )
    theirs = {"q_proj_weight": p["weight_query"], "k_proj_weight": p["weight_memory"][:channels],
              "v_proj_weight": p["weight_memory"][channels:], "out_proj.weight": p["weight_output"]}  # fmt: skip
    if layer.bias:
        theirs["in_proj_bias"] = np.concatenate([p["bias_query"], p["bias_memory"]])
        theirs["out_proj.bias"] = p["bias_output"]
    twin.load_state_dict({name: torch.tensor(array) for name, array in theirs.items()})
    x = rng.normal(size=(3, *SEQUENCE))
    query, source = torch.tensor(x, requires_grad=True), torch.tensor(memory, requires_grad=True)
    y, _ = twin(query, source, source, key_padding_mask=torch.tensor(np.arange(17) >= lengths), need_weights=False)
    found = layer.reference((x, memory, lengths), p, Mode(training=True))
    assert_close(found.y, y.detach().numpy(), 1e-12, "y")
    dy = rng.normal(size=y.shape)
    y.backward(torch.tensor(dy))
    (dx, dmemory, _), dp = found.pull(dy)
    assert_close(dx, query.grad.numpy(), 1e-12, "dx")
    assert_close(dmemory, source.grad.numpy(), 1e-12, "dmemory")
    own = dict(twin.named_parameters())
    both = np.concatenate([own["k_proj_weight"].grad.numpy(), own["v_proj_weight"].grad.numpy()])
    assert_close(dp["weight_memory"], both, 1e-12, "weight_memory")
    assert_close(dp["weight_query"], own["q_proj_weight"].grad.numpy(), 1e-12, "weight_query")
    assert_close(dp["weight_output"], own["out_proj.weight"].grad.numpy(), 1e-12, "weight_output")
    if layer.bias:
        of_input = np.concatenate([dp["bias_query"], dp["bias_memory"]])
        assert_close(of_input, own["in_proj_bias"].grad.numpy(), 1e-12, "bias_input")


@pytest.mark.parametrize("padding", [None, 2])
def test_embeddings_agree_with_pytorch(padding: int | None, rng: np.random.Generator) -> None:
    """The row of a padding is zero in PyTorch too, unless somebody changes it."""

    def case(x: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
        if padding is not None:
            p["weight"].data[padding] = 0
        return F.embedding(x.detach().long(), p["weight"], padding)

    call = "embedding(5, 3)" if padding is None else f"embedding(5, 3, padding={padding})"
    require_agreement(call, (7,), case, rng, rng.integers(0, 5, (3, 7)).astype(float))


def require_agreement(
    call: str,
    shape: Shape,
    case: Case,
    rng: np.random.Generator,
    x: np.ndarray | None = None,
    more: tuple[np.ndarray, ...] = (),
) -> None:
    """Results and gradients for 3 examples whose numbers, like those of the parameters, are drawn."""
    (node,) = check_text(f"net One {{\n  input x: {show_shape(shape)}\n  {call}\n}}\n").nodes
    p = {q.name.removeprefix(f"{node.name}."): rng.normal(size=q.shape) for q in node.parameters}
    x = rng.normal(size=(3, *shape)) if x is None else x
    found = node.layer.reference((x, *more), p, Mode(training=True))
    given = {name: torch.tensor(array, requires_grad=True) for name, array in p.items()}
    inner = torch.tensor(x, requires_grad=True)
    y = case(inner, given)
    dy = rng.normal(size=y.shape)
    y.backward(torch.tensor(dy))
    (dx, *_), gradients = found.pull(dy)
    assert_close(found.y, y.detach().numpy(), 1e-12, "y")
    if inner.grad is not None:
        assert_close(dx, inner.grad.numpy(), 1e-11, "dx")
    for name, parameter in given.items():
        if parameter.grad is not None:
            assert_close(gradients[name], parameter.grad.numpy(), 1e-11, name)
