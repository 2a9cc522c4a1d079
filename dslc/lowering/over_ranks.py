"""The step `train` where several ranks share a mini-batch: each has a part of it, and the update is the same on all.

    forward     the losses are added up over the ranks: all have the same, and each knows its part of the gradient
    backward    the gradients of a rank's own examples
    update      their sums over the ranks, then regularizers and optimizer

In slices each rank has a part of every slice, and the labels of all are counted before:

    begin       the number of labels, added up over the ranks
    forward     for each slice
    backward    for each slice; behind the last, gradients are added up over the ranks

`passes/buckets.py` begins the sums in the backward pass. The other steps are those of one rank.
"""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import BEGIN, FINISH, Graph, Phase, Step
from dslc.hyperparameters import named
from dslc.ir import Network
from dslc.lowering.details import SlicesOfRank, TotalDetail
from dslc.lowering.lower import TrainLowering, count_of_all, lower
from dslc.operation import Operation, Tensor


def lower_over_ranks(network: Network, sliced: bool = False, variable: bool = False) -> Graph:
    """The operations of a network whose training several ranks share. The arguments are those of `lower`."""
    step = _TrainOverRanks(named(network) if variable else network, sliced).step()
    return replace(lower(network, sliced, variable), train=step, over_ranks=True)


class _TrainOverRanks(TrainLowering):
    over_ranks = True

    def __init__(self, network: Network, sliced: bool) -> None:
        super().__init__(network, sliced)
        self.accumulation = SlicesOfRank()
        self.counts: list[Tensor] = []

    def step(self) -> Step:
        """The step `train`. Gradients are looked at, clipped and regularized behind the sum."""
        forward = self.forward_and_backward()
        begin = self._begin()
        if self.sliced:
            self.running_averages((True,))
        backward = self.phase("backward")
        self._sum_gradients()
        self.regularize()
        finish = self.phase(FINISH).operations
        check = self.check(finish)
        self.running_averages((False,) if self.sliced else (True, False))
        self.update_all()
        update = Phase("update", (*(() if check else finish), *self.phase("update").operations))
        return Step("train", (*begin, forward, backward, *check, update))

    def _begin(self) -> tuple[Phase, ...]:
        """What all slices need, of all ranks; no phase where there are none."""
        if not self.sliced:
            return ()
        if self.counts:
            reads, writes = tuple(map(self.counted, self.counts)), tuple(self.counts)
            self.once.append(Operation("sum_over_ranks", "count_labels", reads, writes, None, "labels of all ranks"))
        return (Phase(BEGIN, tuple(self.once)),)

    def counted(self, whole: Tensor) -> Tensor:
        """Of all slices of this rank."""
        if whole not in self.counts:
            self.counts.append(whole)
        return replace(whole, name=f"{whole.name}_slices")

    def add_losses(self, summed: list[Tensor], penalties: list[Tensor], counts: tuple[Tensor, ...] = ()) -> None:
        """Emits the total over all ranks, and `counts`, the labels of each head over all ranks."""
        weighed = tuple((head.name, head.loss.weight) for head in self.network.heads if head.loss is not None)
        reads, writes = (*summed, *penalties), (self.loss_tensor(), *counts)
        detail, about = TotalDetail(weighed, len(penalties)), "the loss, over all ranks"
        self.operations.append(Operation("total_loss_over_ranks", "add_losses", reads, writes, detail, about))

    def losses(self) -> None:
        """Emits the losses of a rank's own examples, their total over all ranks, and this rank's part of the
        gradient; in slices of a slice."""
        if self.sliced:
            super().losses()
            return
        heads = self.network.heads
        summed: list[Tensor] = []
        counts: list[Tensor] = []
        shares: list[tuple[Tensor, Tensor] | None] = []
        for head in heads:
            loss_input = self.loss_input(head)
            dz = own = None
            if loss_input.name in self.needs:
                dz = Tensor(f"{head.name}_loss_grad", loss_input.shape)
                own = replace(dz, name=f"{dz.name}_of_rank")
                self.contributions[loss_input.name].append(dz)
            parts, count = self.lower_loss(head, own)
            summed += [parts, count]
            counts.append(count)
            shares.append(None if own is None or dz is None else (own, dz))
        penalties = [self.penalty(p, i) for p in self.network.parameters for i in range(len(p.regularizers))]
        of_all = tuple(map(count_of_all, counts))
        self.add_losses(summed, penalties, of_all)
        for head, count, whole, pair in zip(heads, counts, of_all, shares, strict=True):
            if pair is not None:
                self.share(head, (pair[0], count, whole), pair[1])

    def _sum_gradients(self) -> None:
        gradients = tuple(self.gradient(p.name) for p in self.network.parameters if p.learns)
        if gradients:
            about = "the gradients of all ranks"
            self.operations.append(Operation("wait_for_sums", "wait_for_sums", gradients, gradients, None, about))
