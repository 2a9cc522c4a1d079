"""batchnorm: batch normalization (notes: 'Batch Normalization'; Ioffe and Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from dslc.language.arguments import Flag, Fraction, OneOf, Positive
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class BatchNormDetail:
    """`pixels` is rows x columns (1 for vectors); `momentum` is the share of the old running average that is kept, and
    `unbiased` whether that of the variance is. `over_ranks`: the statistics are those of the mini-batch of all
    ranks."""

    channels: int
    pixels: int
    momentum: float
    eps: float
    unbiased: bool = False
    over_ranks: bool = False


@dataclass(frozen=True)
class BatchNorm(Layer):
    """For each feature or channel gamma * (x - mean) / sqrt(var + eps) + beta: in training with mean and variance over
    the mini-batch (and all pixels), at prediction and wherever the layer is frozen with running averages. Both
    variances are biased, as in the notes; with variance=unbiased the running one is not, as in PyTorch. Where several
    ranks share a mini-batch the statistics are those of all of it; with sync=off each rank takes those of its own
    examples, and the running averages move by the mean of all ranks."""

    momentum: Fraction = 0.9
    eps: Positive = 1e-5
    variance: Annotated[str, OneOf(("biased", "unbiased"))] = "biased"
    sync: Flag = True

    mixes = True
    examples = (
        Example("batchnorm(eps=1e-3, variance=unbiased)", ((5,),)),
        Example("batchnorm(momentum=0.5, eps=1e-3)", ((3, 4, 17),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """gamma, beta and the running mean and var: one number for each feature or channel."""
        shape = (inputs[0][-1],)
        return (
            Weights("gamma", shape, "ones"),
            Weights("beta", shape, "zeros"),
            Weights("mean", shape, "zeros", trained=False),
            Weights("var", shape, "ones", trained=False),
        )

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """x_hat = (x - mean) / sqrt(var + eps) and y = gamma * x_hat + beta, over all axes but the last (notes: 'Batch
        Normalization').

        In training dgamma = sum(dy * x_hat), dbeta = sum(dy), and dx = gamma / sqrt(var + eps) * (dy - (dbeta + x_hat *
        dgamma) / m) with m the examples times the pixels (Ioffe and Szegedy 2015, section 3). The running variance
        takes var, or m / (m - 1) var without bias, which is 0 where m is 1.
        """
        x, axes = xs[0], tuple(range(xs[0].ndim - 1))
        mean = x.mean(axis=axes) if mode.training else p["mean"]
        var = ((x - mean) ** 2).mean(axis=axes) if mode.training else p["var"]
        deviation = np.sqrt(var + self.eps)
        count = x.size // x.shape[-1]
        normal = (x - mean) / deviation

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dgamma, dbeta = (dy * normal).sum(axis=axes), dy.sum(axis=axes)
            through_statistics = (dbeta + normal * dgamma) / count if mode.training else 0
            dx = p["gamma"] / deviation * (dy - through_statistics)
            return (dx,), {"gamma": dgamma, "beta": dbeta}

        keep = self.momentum
        kept = var * count / max(count - 1, 1) if self.variance == "unbiased" else var
        running = {"mean": keep * p["mean"] + (1 - keep) * mean, "var": keep * p["var"] + (1 - keep) * kept}
        return Reference(p["gamma"] * normal + p["beta"], pull, running if mode.training else {})

    def _detail(self, site: Site) -> BatchNormDetail:
        channels, unbiased = site.y.shape[-1], self.variance == "unbiased"
        over_ranks = site.over_ranks and self.sync
        return BatchNormDetail(channels, site.y.elements // channels, self.momentum, self.eps, unbiased, over_ranks)

    def forward(self, site: Site) -> None:
        """In training the statistics, in chunks where there are many pixels, then `batchnorm_apply` with them; at
        prediction `batchnorm_apply` with the running averages."""
        detail, shape = self._detail(site), (site.y.shape[-1],)
        affine = (site.parameter("gamma"), site.parameter("beta"))
        running = (site.parameter("mean"), site.parameter("var"))
        statistics = running
        if site.training:
            statistics = (site.save("batch_mean", shape), site.save("batch_var", shape))
            own = statistics
            if detail.over_ranks:
                own = (site.save("rank_mean", shape), site.save("rank_var", shape))
            chunks = site.chunks("moments", (2, *shape))
            site.op("batchnorm_statistics", "statistics", site.x, (chunks,) if chunks else own, detail)
            if chunks is not None:
                site.op("batchnorm_merge", "merge_statistics", (chunks,), own, detail)
            if detail.over_ranks:
                reads = (*own, site.parameter("mean"))
                site.op("batchnorm_over_ranks", "statistics_over_ranks", reads, statistics, detail)
        site.op("batchnorm_apply", "forward", (*site.x, *statistics, *affine), (site.y,), detail)

    def backward(self, site: Site) -> None:
        """dgamma and dbeta first, also if they are not learned, because dx needs both sums. A frozen layer is linear:
        dx = dy * gamma / sqrt(var + eps)."""
        if not site.training:
            if (dx := site.dx[0]) is not None:
                factors = (site.parameter("var"), site.parameter("gamma"))
                site.op("batchnorm_scale", "backward_input", (site.dy, *factors), (dx,), self._detail(site))
            return
        detail, shape = self._detail(site), (site.y.shape[-1],)
        mean, var = site.saved["batch_mean"], site.saved["batch_var"]
        dgamma = site.gradient("gamma") or site.save("gamma_sum", shape)
        dbeta = site.gradient("beta") or site.save("beta_sum", shape)
        chunks = site.chunks("affine_chunks", (2, *shape))
        reads = (site.dy, site.x[0], mean, var)
        site.op("batchnorm_sums", "backward_affine", reads, (chunks,) if chunks else (dgamma, dbeta), detail)
        if chunks is not None:
            site.op("chunk_sum", "merge_affine", (chunks,), (dgamma, dbeta))
        if (dx := site.dx[0]) is not None:
            sums = (dgamma, dbeta)
            if detail.over_ranks:
                sums = (site.save("gamma_sum_over_ranks", shape), site.save("beta_sum_over_ranks", shape))
                site.op("sum_over_ranks", "affine_over_ranks", (dgamma, dbeta), sums)
            affine = (site.parameter("gamma"), *sums)
            site.op("batchnorm_gradient", "backward_input", (*reads, *affine), (dx,), detail)

    def after(self, site: Site) -> None:
        """Updates the running averages, once the step is accepted."""
        if not site.training:
            return
        running = tuple(t for t in (site.parameter("mean"), site.parameter("var")) if t is not None)
        detail, statistics = self._detail(site), (site.saved["batch_mean"], site.saved["batch_var"])
        if site.over_ranks and not self.sync:
            shape = statistics[0].shape
            means = (site.save("mean_over_ranks", shape), site.save("var_over_ranks", shape))
            site.op("batchnorm_over_ranks", "statistics_over_ranks", statistics, means, detail)
            statistics, detail = means, replace(detail, unbiased=False)
        site.op("batchnorm_running", "running", (*statistics, *running), running, detail)
