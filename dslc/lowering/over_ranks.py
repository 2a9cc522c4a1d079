"""The step `train` where several ranks share a mini-batch: each has a part of it, and the update is the same on all.

    forward     the losses are added up over the ranks: all have the same, and each knows its part of the gradient
    backward    the gradients of a rank's own examples
    update      their sums over the ranks, then regularizers and optimizer

`passes/buckets.py` begins the sums in the backward pass. The other steps are those of one rank.
"""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import FINISH, Graph, Phase, Step
from dslc.hyperparameters import named
from dslc.ir import Network
from dslc.lowering.details import TotalDetail
from dslc.lowering.lower import TrainLowering, count_of_all, lower
from dslc.operation import Operation, Tensor


def lower_over_ranks(network: Network) -> Graph:
    """The operations of a network whose training several ranks share; hyperparameters are numbers at run time."""
    step = _TrainOverRanks(named(network)).step()
    return replace(lower(network, variable=True), train=step, over_ranks=True)


class _TrainOverRanks(TrainLowering):
    over_ranks = True

    def step(self) -> Step:
        """The step `train`. Gradients are looked at, clipped and regularized behind the sum."""
        forward = self.forward_and_backward()
        backward = self.phase("backward")
        self._sum_gradients()
        self.regularize()
        finish = self.phase(FINISH).operations
        check = self.check(finish)
        self.running_averages()
        self.update_all()
        update = Phase("update", (*(() if check else finish), *self.phase("update").operations))
        return Step("train", (forward, backward, *check, update))

    def losses(self) -> None:
        """Emits the losses of a rank's own examples, their total over all ranks, and this rank's part of the
        gradient."""
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
        weighed = tuple((head.name, head.loss.weight) for head in heads if head.loss is not None)
        of_all = tuple(map(count_of_all, counts))
        reads, writes = (*summed, *penalties), (self.loss_tensor(), *of_all)
        detail, about = TotalDetail(weighed, len(penalties)), "the loss, over all ranks"
        self.operations.append(Operation("total_loss_over_ranks", "add_losses", reads, writes, detail, about))
        for head, count, whole, pair in zip(heads, counts, of_all, shares, strict=True):
            if pair is not None:
                self.share(head, (pair[0], count, whole), pair[1])

    def _sum_gradients(self) -> None:
        gradients = tuple(self.gradient(p.name) for p in self.network.parameters if p.learns)
        if gradients:
            about = "the gradients of all ranks"
            self.operations.append(Operation("wait_for_sums", "wait_for_sums", gradients, gradients, None, about))
