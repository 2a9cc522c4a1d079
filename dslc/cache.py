"""The folder where compiled things are kept, and files that appear whole or not at all.

What lies in the folder is loaded and run, so it is used only if nobody else can write there.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

PART = ".part"
"""How the name ends under which a file is written before it takes its own: a killed process may leave one behind."""

SCRATCH = "dslc-"
"""How the names of folders begin in which something is compiled."""


@cache
def cache_folder() -> Path:
    """`$DSLC_CACHE`, else the user's cache folder; a private temporary one, with a note, where it cannot be written or
    others could."""
    wanted = os.environ.get("DSLC_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dslc"
    )
    try:
        folder = Path(wanted)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stranger = not_ours(folder)
        if stranger is not None:
            return _temporary_cache(f"{stranger}: delete it, or name another in DSLC_CACHE", wanted)
        if os.access(folder, os.W_OK | os.X_OK):
            _sweep(folder)
            return folder
        reason = "permission denied"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    return _temporary_cache(f"cannot be written ({reason})", wanted)


def not_ours(path: Path) -> str | None:
    """Why what lies at a path may be the work of another user, in words that follow its name; None if it is ours, or
    root's, and only its owner can change it.

    Raises:
        OSError: there is nothing.
    """
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0):
        return "belongs to another user"
    if found.st_mode & 0o022:
        return "can be written by others"
    return None


def _sweep(folder: Path) -> None:
    """Removes what a process left that was killed while it compiled or wrote: nothing else is unfinished for a day."""
    import shutil
    import time

    for left in (*folder.glob(f".*{PART}"), *folder.glob(f"{SCRATCH}*")):
        with suppress(OSError):  # another process may be faster
            if left.stat().st_mtime < time.time() - 24 * 3600:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _temporary_cache(reason: str, wanted: str) -> Path:
    import tempfile  # here: it is slow to import, and seldom needed

    fallback = Path(tempfile.mkdtemp(prefix=SCRATCH))
    note = f"the cache folder {wanted} {reason}; compiling into {fallback} this time"
    warnings.warn(note, stacklevel=3)
    return fallback


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file as `appearing_whole` does.

    Raises:
        OSError: it cannot be written; what stood there before is left.
    """
    with appearing_whole(path) as file:
        file.write(content)


@contextmanager
def appearing_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which appears at its path when it is whole or not at all, also to another process that looks
    meanwhile.

    Raises:
        OSError: it cannot be written; what stood there before is left.
    """
    if not path.name:  # `.` and `/`
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}{PART}")
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too: it may come before there is a file, and after it has got its own name
        with suppress(OSError):
            temporary.unlink()
        raise
