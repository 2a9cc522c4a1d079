"""Files of data that were dropped on the page: kept in a folder of their own as long as it is open."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from dslc.language.diagnostics import DataError
from dslc.runtime.data.named import is_data_name
from dslc.runtime.data.tables import ENDINGS

TAKEN = (".npz", *ENDINGS)
"""How the names of files end that are read."""


class Uploads:
    """Files by the names that they had; what the page calls a path is never one on this machine."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="dslc-play-")
        self.files: dict[str, Path] = {}

    async def keep(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Writes a file, under a name of ours; its own is what the page calls it by.

        Raises:
            DataError: data of this name or ending are not read.
        """
        ending = next((end for end in TAKEN if name.lower().endswith(end)), None)
        if ending is None:
            raise DataError(f"files of data end in {', '.join(TAKEN)}, and {name!r} does not")
        if is_data_name(name):
            raise DataError(f"{name} is the name of other data")
        path = Path(self.folder.name) / f"{len(self.files)}{ending}"
        with path.open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)
        self.files[name] = path
        return name

    def find(self, name: str) -> str:
        """What `load_dataset` takes for a data set's name or that of a dropped file.

        Raises:
            DataError: there is neither.
        """
        if name in self.files:
            return str(self.files[name])
        if is_data_name(name):
            return name
        raise DataError(f"there are no data {name!r}: choose a name, or drop a file on the page")

    def close(self) -> None:
        """Removes all files."""
        self.folder.cleanup()
