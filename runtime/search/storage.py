"""Where trials are kept and shared: in memory, a journal file, SQLite, or a database that Optuna knows."""

from __future__ import annotations

import fcntl
import warnings
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from dslc.language.diagnostics import UsageError

DATABASES = (".db", ".sqlite", ".sqlite3")
HEARTBEAT_SECONDS = 30
"""How often a worker tells a database that it lives. After two without a word its trial is tried again."""
MAX_RETRIES = 3
"""How often a trial whose worker died is tried again: it may be the trial that kills its workers."""
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ExperimentalWarning)  # it is so since 2020
    RETRY = RetryHeartbeatStaleTrialCallback(MAX_RETRIES)


def open_storage(where: str | None) -> Any:
    """Opens the storage of trials: a journal file, SQLite (.db, .sqlite, .sqlite3), a URL for Optuna, or memory (None).

    Raises:
        UsageError: it cannot be opened.
    """
    if where is None:
        return None
    try:
        if "://" in where:
            return _database(where)
        return _sqlite(where) if where.endswith(DATABASES) else _journal(Path(where).absolute())
    except OSError as error:
        raise UsageError(f"cannot open the storage {where}: {error.strerror}") from None


def _sqlite(where: str) -> Any:
    """Locks the file while its tables are made: if two workers start together, the second finds them complete."""
    with open(where, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return _database(f"sqlite:///{where}")


def _database(url: str) -> Any:
    """A database with heartbeats, by which workers on other machines see that one has died.

    Raises:
        UsageError: there is no such database, or no driver for it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RDBStorage(url, heartbeat_interval=HEARTBEAT_SECONDS, heartbeat_stale_trial_callback=RETRY)
    except (SQLAlchemyError, ImportError) as error:
        raise UsageError(f"cannot open the storage {url}: {str(error).splitlines()[0]}") from None


def _journal(path: Path) -> Any:
    """Optuna's lock is a symbolic link to the journal, and it follows the link to find the age of a killed worker's
    lock. So the path must be absolute, and a dangling link, which Optuna would wait for forever, is removed."""
    lock = path.with_name(f"{path.name}.lock")
    if lock.is_symlink() and not lock.exists():
        lock.unlink(missing_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))
