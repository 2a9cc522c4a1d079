"""Trials whose worker died: a killed process cannot tell the study, so the others of its machine find out.

Databases have heartbeats too (`storage.py`), which tell of workers on other machines. A journal does not: a trial that
was killed on another machine stays `running` there.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from dslc.runtime.search.storage import RETRY

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

ATTRIBUTE = "worker"
"""A trial's attribute: the process that runs it."""


def sign(trial: Trial) -> None:
    """Says in the trial which process runs it. The number tells a trial from one that is tried again, which has a copy
    of its attributes."""
    trial.set_user_attr(ATTRIBUTE, {**_this_process(), "trial": trial.number})


def retry_trials_of_dead_workers(study: optuna.Study) -> list[int]:
    """Marks running trials as failed whose process on this machine is no more, and enqueues their values again, at
    most `storage.MAX_RETRIES` times. Returns their numbers."""
    found = []
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        if _is_dead(trial):
            try:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            except ValueError:  # another worker was faster
                continue
            RETRY(study, trial)
            found.append(trial.number)
    return found


def _is_dead(trial: FrozenTrial) -> bool:
    worker: dict[str, Any] = trial.user_attrs.get(ATTRIBUTE, {})
    if worker.get("trial") != trial.number or worker["host"] != socket.gethostname():
        return False
    return bool(_started(worker["pid"]) != worker["started"])


def _this_process() -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def _started(pid: int) -> str | None:
    """When a process began, in the system's ticks, since its number may come again; None if there is no such process.
    Without /proc all that is known is whether there is one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None if Path("/proc/self").exists() or not _exists(pid) else ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
