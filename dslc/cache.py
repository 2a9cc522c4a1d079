"""The folder where compiled things are kept, and files that appear whole or not at all."""

from __future__ import annotations

import os
import warnings
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
    import tempfile  # here and below: it is slow to import, and a run that finds all in the cache needs none of it

    fallback = Path(tempfile.mkdtemp(prefix="dslc-"))
    note = f"the cache folder {wanted} cannot be written ({reason}); compiling into {fallback} this time"
    warnings.warn(note, stacklevel=3)
    return fallback


def write_whole(path: Path, data: bytes) -> None:
    """The file appears whole or not at all, also to another process that looks meanwhile."""
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too
        os.unlink(temporary)
        raise


@cache
def _umask() -> int:
    """The process's mask for new files: temporary files are private, what is kept should not be."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
