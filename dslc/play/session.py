"""A training that the page watches and steers: a thread that can pause, go a mini-batch further, and end."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Any

from dslc.compiler import check_text
from dslc.language.diagnostics import CallError, DataError, SpecError, UsageError
from dslc.play.views import Images, Plane, view_of
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import Dataset
from dslc.runtime.data.schema import Schema
from dslc.runtime.model import Model
from dslc.runtime.training.callbacks import Callback, Record

Json = dict[str, Any]
LOOK_SECONDS = 0.4
"""So often the page gets a new view."""
ACTIONS = ("pause", "resume", "step", "stop")


@dataclass(frozen=True)
class Order:
    """What is to be trained: the text of a spec on data, by name or path, with the target column of a table."""

    text: str
    data: str
    target: str | None = None


class Session(Callback):
    """One training. The page reads `news`; `act` steers it. Everything else happens in its own thread."""

    every_batch = True

    def __init__(self, order: Order) -> None:
        self.order = order
        self.model: Model | None = None
        self.state = "compiling"
        self.error = ""
        self.records: list[Json] = []
        self.progress: Json = {}
        self.view: Plane | Images | None = None
        self.fixed: Json | None = None
        self.seen: Json | None = None
        self.looks = 0
        self.looked_at = 0.0
        self.wanted = "resume"
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._run, name="training", daemon=True)

    def start(self) -> None:
        """Begins."""
        self.thread.start()

    def act(self, action: str) -> None:
        """Pauses, goes on, goes on for one mini-batch, or ends for good.

        Raises:
            DataError: there is no such action.
        """
        if action not in ACTIONS:
            raise DataError(f"a training can {', '.join(ACTIONS)}, not {action!r}")
        with self.changed:
            if self.wanted != "stop":
                self.wanted = action
            self.changed.notify_all()

    def news(self, records: int, looks: int) -> Json:
        """What has happened since `records` epochs and `looks` views were told."""
        answer: Json = {
            "state": self.state,
            "error": self.error,
            "progress": self.progress,
            "records": self.records[records:],
            "looks": self.looks,
        }
        if self.looks > looks:
            answer["view"] = {**(self.fixed or {}), **(self.seen or {})} if looks == 0 else self.seen
        return answer

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed")

    # ------------------------------------------------------------------------------------------- in its thread

    def _run(self) -> None:
        try:
            stopped = self._train()
            self.progress = {**self.progress, "stopped": stopped}
            self.state = "done"
        except (SpecError, DataError, UsageError) as error:
            self.error, self.state = str(error), "failed"
        except MemoryError:
            self.error, self.state = "there is not enough memory for this", "failed"
        except Exception:  # a bug: the terminal shows it, and the page must not wait for ever
            self.error, self.state = "the training broke off: the terminal of dslc play says why", "failed"
            raise

    def _train(self) -> str:
        network = check_text(self.order.text)
        if network.training is None:
            raise CallError("this spec has no `train`: it says nothing of how to learn")
        model = Model(network)
        dataset = self._dataset(model)
        self.model, self.dataset = model, dataset
        part, dev = dataset.train, dataset.dev
        history = model.fit(part.x, part.y, dev.given if dev else None, sample_weight=part.weights, callbacks=[self])
        self._look()
        return history.stopped

    def _dataset(self, model: Model) -> Dataset:
        how = Schema().reading(model.network, labelled=True)
        dataset = load_dataset(self.order.data, self.order.target, how).with_dev(model.training.seed)
        model.schema = model.schema.describing(model.network, dataset)
        model.learn_columns(dataset.train.x, dataset.train.weights)
        return dataset

    def on_train_begin(self, model: Any) -> None:
        """The first view is that of an untrained network, which has learned the names of its classes."""
        assert self.model is not None
        self.view = view_of(self.model, self.dataset)
        self.fixed = self.view.fixed if self.view is not None else None
        self.state = "training"
        self._look()

    def on_batch(self, record: Record) -> str | None:
        """Waits here while training is paused; a word ends it."""
        self.progress = finite(record)
        if time.monotonic() - self.looked_at > LOOK_SECONDS:
            self._look()
        with self.changed:
            if self.wanted == "step":
                self.wanted = "pause"
            if self.wanted == "pause":
                self._look()
            while self.wanted == "pause":
                self.state = "paused"
                self.changed.wait()
            self.state = "training"
            return "stopped" if self.wanted == "stop" else None

    def on_epoch(self, record: Record) -> None:
        """Keeps the record for the curves."""
        self.records.append(finite(record))

    def _look(self) -> None:
        if self.view is not None and self.model is not None:
            self.seen, self.looks = self.view.look(self.model), self.looks + 1
        self.looked_at = time.monotonic()


def finite(record: Record) -> Json:
    """A record for JSON, which knows no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in record.items()}
