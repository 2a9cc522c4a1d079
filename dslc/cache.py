"""The folder where compiled things are kept, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

PART = ".part"
"""How the name ends under which a file is written before it takes its own: a killed process may leave one behind."""


@cache
def cache_folder() -> Path:
    """`$DSLC_CACHE`, else the user's cache folder; a temporary one, with a note, where neither can be written."""
    wanted = os.environ.get("DSLC_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dslc"
    )
    try:
        folder = Path(wanted)
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        reason = "permission denied"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    return _temporary_cache(wanted, reason)


def _temporary_cache(wanted: str, reason: str) -> Path:
    import tempfile  # here: it is slow to import, and seldom needed

    fallback = Path(tempfile.mkdtemp(prefix="dslc-"))
    note = f"the cache folder {wanted} cannot be written ({reason}); compiling into {fallback} this time"
    warnings.warn(note, stacklevel=3)
    return fallback


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """The file appears whole or not at all, also to another process that looks meanwhile. parts: one behind the other.

    Raises:
        OSError: it cannot be written; what stood there before is left.
    """
    if not path.name:  # `.` and `/`
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}{PART}")
    try:
        with open(temporary, "xb") as file:
            for part in parts:
                file.write(part)
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too: it may come before there is a file, and after it has got its own name
        with suppress(OSError):
            temporary.unlink()
        raise
