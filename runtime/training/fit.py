"""The fit loop: epochs in Python, mini-batches in C."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.objective import WORST_RANK, Objective
from dslc.runtime.metrics import mean_losses
from dslc.runtime.native.parameters import Stored
from dslc.runtime.native.ranks import ALONE, Ranks
from dslc.runtime.native.steps import new_sums
from dslc.runtime.training.batches import Batches
from dslc.runtime.training.callbacks import Callback, Callbacks
from dslc.runtime.training.cautions import slow_products, small_batches
from dslc.runtime.training.checkpoint import Begun, FitState
from dslc.runtime.training.divergence import NotFinite, spoiled
from dslc.runtime.training.history import History
from dslc.runtime.training.interrupts import undisturbed
from dslc.runtime.training.measure import measure
from dslc.runtime.training.pieces import Piece
from dslc.runtime.training.progress import Progress
from dslc.runtime.training.trainable import Trainable

Array = np.ndarray[Any, Any]
SLICE_SECONDS = 0.15
"""How long the C trains before it returns to Python, for the progress bar and Ctrl-C."""
YIELD_SECONDS = 0.0005
"""How long to pause between two slices if there are other Python threads, so that one waiting for the model gets it."""
OnEpoch = Callable[[dict[str, float]], str | None]
"""Called with each epoch's record; if it returns a word, training ends and the word becomes `History.stopped`."""


class OutOfBounds(RuntimeWarning):
    """A bound of `subject_to` was not met."""


class Fit:
    """One call of `fit`. With a dev set it keeps the best weights by the file's metric.

    model: what is trained. batches: where the mini-batches come from. dev: (x, y, sample weights or None) or None.
    ranks: those that train together; progress, on_epoch and callbacks are those of rank 0, whose word all follow.

    Raises:
        DataError: the file has bounds (`subject_to`), and there is no dev set; or a callback is none.
    """

    def __init__(
        self,
        model: Trainable,
        batches: Batches,
        dev: Any,
        progress: Progress,
        on_epoch: OnEpoch | None = None,
        callbacks: Iterable[Callback] = (),
        ranks: Ranks = ALONE,
    ) -> None:
        self.on_epoch, self.callbacks, self.ranks = on_epoch, Callbacks(callbacks), ranks
        self.model, self.batches, self.dev, self.progress = model, batches, dev, progress
        self.training = model.training
        self.history = History()
        self.best_weights: Mapping[str, Stored] | None = None
        self.rank, self.waited = WORST_RANK, 0
        self.yielded_at = time.monotonic()
        self.objective = self._objective()
        self.measured: dict[str, float] = {}
        self.word: str | None = None
        self.not_finite = NotFinite(model)
        self.begun: Begun | None = None

    def _objective(self) -> Objective:
        """The file's objective; without a dev set, the training loss."""
        wanted = self.training.objective
        if self.dev is not None:
            return wanted
        if wanted.bounds:
            raise DataError("`subject_to` is judged on a dev set: pass one, as in fit(x, y, dev=(x_dev, y_dev))")
        for what, metric in self._watching():
            if metric != "loss":
                warnings.warn(f"{what} watches the training loss: no dev set was given as dev=(x, y)", stacklevel=5)
        return Objective("loss")

    def _watching(self) -> Iterator[tuple[str, str]]:
        """What goes by a metric, and which one."""
        if self.training.patience is not None:
            yield "early stopping", self.training.objective.metric
        schedule = self.training.schedule
        if schedule is not None and schedule.watched is not None:
            yield "the schedule", schedule.watched

    def run(self, epochs: int) -> History:
        """Trains for `epochs`, and restores the best weights however training ends."""
        self._measure()
        network = self.model.network
        for caution in (small_batches(network, self.batches.examples or 0), slow_products(network)):
            if caution:
                warnings.warn(caution, UserWarning, stacklevel=3)
        self.end = self.model.epoch + epochs
        self.every_batch = self.ranks.agreed(self.callbacks.every_batch)
        if epochs:
            self.history.stopped = "epochs"  # a resumed training may have been stopped by something else
        self.progress.begin(epochs, self.batches.examples)
        self._keep_state()
        try:
            self.callbacks.begin(self.model)
            for _ in range(epochs):
                if not self._epoch():
                    break
        except KeyboardInterrupt:
            if self.history.stopped != "early" and self.model.epoch < self.end:  # else training was over
                self.history.stopped = "interrupted"
        except BaseException:
            self.history.stopped = "failed"
            raise
        finally:
            with undisturbed():
                self.progress.end()
                self._restore_best()
                self.callbacks.end(self.history)
        self._warn_if_no_best()
        return self.history

    def _measure(self) -> None:
        """Measures speed and size once, since they do not depend on the weights; they go into every record."""
        if self.objective.measured:
            self.measured = measure(self.model, self.objective.measured, self.dev[0])
        for bound in self.objective.unreachable_bounds(self.measured):
            text = f"no epoch can meet {bound}: it is {self.measured[bound.metric]:.4g}"
            warnings.warn(text, OutOfBounds, stacklevel=4)

    def _warn_if_no_best(self) -> None:
        """Warns if there is a dev set but no epoch counts as the best."""
        records, objective = self.history.records, self.objective
        if self.dev is None or not records or self.history.best_epoch is not None:
            return
        if not any(math.isfinite(objective.value(record)) for record in records):
            text = f"{objective.metric} was not finite in any of the {len(records)} epochs"
            warnings.warn(f"{text}: the last weights are kept", RuntimeWarning, stacklevel=4)
            return
        broken = " and ".join(map(str, objective.violated(records[-1]) or objective.bounds))
        warnings.warn(f"no epoch met {broken}: the last weights are kept", OutOfBounds, stacklevel=4)

    def resume_from(self, fit_state: FitState) -> None:
        """Continues an earlier training. Its best value and patience are recomputed from its records.

        Raises:
            DataError: it was judged on other data or by another metric.
        """
        records, best_epoch = fit_state.history.records, fit_state.history.best_epoch
        for record in records:
            self._judge(record)
        if self.dev is None and any(key.startswith("dev_") for record in records for key in record):
            raise DataError("the training to resume was judged on a dev set: pass it again")
        if self.history.best_epoch != best_epoch:
            raise DataError(
                f"the best epoch so far was {best_epoch}; by {self.objective.metric} on the dev set passed now it is "
                f"{self.history.best_epoch}, whose weights are gone: use the same metric and dev set as before"
            )
        self.history = History(list(records), best_epoch, fit_state.history.stopped)
        self.best_weights = fit_state.best_weights
        if fit_state.last_weights is not None:  # the model shows the best ones
            self.best_weights = fit_state.last_weights
            self.model.swap_weights(self.best_weights)
        self.begun = fit_state.begun and replace(fit_state.begun, batch=self.model.mini_batch)

    def _restore_best(self) -> None:
        """Restores the best weights; the last ones are kept in their place for a checkpoint to continue from."""
        last, self.best_weights = self.best_weights, None
        if last is not None:
            self.model.swap_weights(last)
        self._keep_state(last)

    def _keep_state(self, last: Mapping[str, Stored] | None = None) -> None:
        """Leaves in the model what a checkpoint needs of this training."""
        self.model.fit_state = FitState(self.history, self.end, self.best_weights, last, self.begun)

    def _epoch(self) -> bool:
        """One pass over the data. Returns False when training is over."""
        started = time.perf_counter()
        model, number, examples = self.model, self.model.epoch, self.batches.examples
        model.begin_epoch(None if examples is None else -(-examples // model.mini_batch))
        if self.begun is None:
            self.begun = Begun(new_sums(model.network), model.step, model.mini_batch)
            self._keep_state()
        losses = self._batches(number, self.begun)
        if losses is None:
            return False
        if spoiled(model):
            self.history.stopped = "diverged"
            return False
        record = {"epoch": float(number + 1), **losses}
        if self.dev is not None:
            record |= {f"dev_{key}": value for key, value in model.evaluate_together(*self.dev).items()}
        record |= self.measured
        record |= {"lr": model.learning_rate(number, max(model.step - 1, 0)), "seconds": time.perf_counter() - started}
        record = self.ranks.agreed(record)
        with undisturbed(), model.lock:  # a checkpoint taken by another thread has all of it or nothing
            model.epoch += 1
            self.history.records.append(record)
            self._watch(record)
            goes_on = self._keep_best(record)
            self.begun = None
            self._keep_state()
        self.progress.epoch(record)
        return self._notify(record) and goes_on

    def _watch(self, record: dict[str, float]) -> None:
        """Keeps what the schedule goes by: the training loss where it is a metric of a dev set that there is not."""
        schedule = self.training.schedule
        if schedule is not None and schedule.watched is not None:
            watched = schedule.watched if self.dev is not None else "loss"
            self.model.watched.append(Objective(watched).value(record))

    def _notify(self, record: dict[str, float]) -> bool:
        """Passes the record to `on_epoch` and the callbacks. Returns False if one of them ends training."""
        reasons = (self.word, self.on_epoch(record) if self.on_epoch else None, self.callbacks.epoch(record))
        return self._goes_on(self.ranks.agreed(next((reason for reason in reasons if reason is not None), None)))

    def _goes_on(self, reason: str | None) -> bool:
        """Whether training goes on: not if there is a word for why it ends."""
        self.history.stopped = reason or self.history.stopped
        return reason is None

    def _batches(self, epoch: int, begun: Begun) -> dict[str, float] | None:
        """Trains for an epoch, from where it has begun. Returns its mean losses and, where there are regularizers, the
        mean penalty; None if training ends within it."""
        examples, start = 0, begun.done(self.model.step)
        with self.batches.epoch(epoch, self.model.share) as pieces:
            for piece in self.ranks.pieces(pieces):
                if not self._piece(piece, examples, start, begun):
                    return None
                examples += len(piece.order)
        losses = self._losses(begun.sums)
        if any(p.regularizers for p in self.model.network.parameters):
            trained = examples - begun.left_out
            losses["penalty"] = float(begun.sums[-1]) / trained if trained else math.nan
        if self.training.checks_gradients:
            losses["left_out"] = float(begun.left_out)
        return losses

    def _losses(self, sums: Array) -> dict[str, float]:
        """The mean loss of the heads that predict, which the dev set has too, and that of those that only train."""
        means, answers = mean_losses(sums[:-1].tolist()), len(self.model.network.answers)
        others = {"auxiliary": sum(means[answers:])} if means[answers:] else {}
        return {"loss": sum(means[:answers]), **others}

    def _piece(self, piece: Piece, before: int, start: int, begun: Begun) -> bool:
        """Trains on a piece of an epoch with so many examples before it, from example `start` of the epoch on. Returns
        False if training ends within it."""
        last, size = self.batches.examples, len(piece.order)
        done = min(max(start - before, 0), size)
        seconds = 0.0 if self.every_batch else SLICE_SECONDS
        while done < size:
            finite, done = self.model.train_batches(piece, done, begun.sums, seconds)
            if not finite:
                if not self.not_finite.goes_on(piece, done, self._kept()):
                    self.history.stopped = "diverged"
                    return False
                left_out = min(self.model.mini_batch, size - done)
                begun.left_out, done = begun.left_out + left_out, done + left_out
            loss = self._losses(begun.sums)["loss"]
            self.progress.advance(self.model.epoch + 1, before + done, loss)
            self.word = self.ranks.agreed(self._batch_done(before + done, loss))
            if before + done != last and not self._goes_on(self.word):
                return False
            self._yield_to_threads()
        return True

    def _kept(self) -> str:
        """Which weights are left if training ends now."""
        if self.best_weights is not None:
            return "the best weights so far are kept"
        broken = self.model.first_not_finite() is not None
        return "the update before it has spoiled the weights" if broken else "the weights before it are kept"

    def _batch_done(self, done: int, loss: float) -> str | None:
        """Tells the callbacks how far the epoch is; a word if one of them ends training."""
        if not self.callbacks.listening:
            return None
        epoch, step = self.model.epoch, self.model.step
        lr = self.model.learning_rate(epoch, max(step - 1, 0))
        return self.callbacks.batch({"epoch": epoch + 1.0, "step": step, "examples": done, "loss": loss, "lr": lr})

    def _yield_to_threads(self) -> None:
        """Pauses now and then: a lock that is released and taken again at once starves the threads that wait for it."""
        now = time.monotonic()
        if threading.active_count() > 1 and now - self.yielded_at > SLICE_SECONDS:
            time.sleep(YIELD_SECONDS)
            self.yielded_at = now

    def _keep_best(self, record: dict[str, float]) -> bool:
        """Keeps the weights of an epoch that is the best so far. Returns False when patience has run out."""
        if self._judge(record) and (self.dev is not None or self.training.patience is not None):
            self.best_weights = self.model.keep_weights(self.best_weights)
        if self.training.patience is not None and self.waited >= self.training.patience:
            self.history.stopped = "early"
            return False
        return True

    def _judge(self, record: dict[str, float]) -> bool:
        """Whether an epoch is the best so far. One that violates a bound never is; as long as all do, patience follows
        the optimizing metric."""
        rank = self.objective.rank(record)
        if rank >= self.rank:
            self.waited += 1
            return False
        self.rank, self.waited = rank, 0
        excluded, _ = rank
        if not excluded:
            self.history.best_epoch = int(record["epoch"])
        return not excluded
