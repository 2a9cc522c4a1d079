"""The folder where compiled things are kept, and files that appear whole or not at all.

What lies in the folder is loaded and run, so it is used only if nobody else can write there.
"""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

PART = ".part"
"""How the name ends under which a file is written before it takes its own: a killed process may leave one behind."""

SCRATCH = "dslc-"
"""How the names of folders begin in which something is compiled."""

MOST_LINKS = 40
"""So many links are followed, as Linux does."""


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
    meanwhile. A link is followed to where it leads. What is there and is no file, such as a pipe, gets the whole
    behind what it got before.

    Raises:
        OSError: it cannot be written; what stood there before is left.
    """
    if not path.name:  # `.` and `/`
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    open_already, target = _own_descriptor(path), _behind_links(path)
    if open_already is not None:
        with _collected(lambda: os.fdopen(os.dup(open_already), "wb")) as file:
            yield file
    elif _is_no_file(target):
        with _collected(lambda: target.open("wb")) as file:
            yield file
    else:
        with _replacing(target) as file:
            yield file


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}{PART}")
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too: it may come before there is a file, and after it has got its own name
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def _collected(opened: Callable[[], BinaryIO]) -> Iterator[BinaryIO]:
    """A file to write, also at any place, that is copied into what is `opened` when it is whole."""
    import shutil
    import tempfile

    with tempfile.TemporaryFile() as whole:
        yield whole
        whole.seek(0)
        with opened() as file:
            shutil.copyfileobj(whole, file)


def _own_descriptor(path: Path) -> int | None:
    """The number of what this process has open under such a path, as `/dev/stdout` is or leads to."""
    for _ in range(MOST_LINKS):
        if path.name.isdecimal() and path.parent.resolve() == Path("/proc/self/fd").resolve():
            return int(path.name)
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return None


def _behind_links(path: Path) -> Path:
    """Where a link leads, be something there or not; the path itself if it is none.

    Raises:
        OSError: links lead in a circle.
    """
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def _is_no_file(path: Path) -> bool:
    """Whether something is there that bytes are written into: a pipe, a terminal, `/dev/null`.

    Raises:
        OSError: it is a disk, which would lose all that it holds.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a disk", str(path))
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
