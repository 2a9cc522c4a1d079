"""All images of a data set as one array: in memory, in a cache on the disk, or decoded whenever they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.decoding import Decoded, Decoders, worker_count
from dslc.runtime.data.examples import Reading
from dslc.runtime.data.image_files import ImageFiles, Kept, cache_key, open_cache, write_cache
from dslc.runtime.data.pixels import channel_notes, stacked

Array = np.ndarray[Any, Any]
KEPT = 1 << 30
"""So many bytes of pixels stay in memory; more are decoded in every epoch anew, or kept in a cache."""
SHOWN = 10


def cached_images(files: Sequence[Path], how: Reading) -> tuple[Any, Kept]:
    """The images in the cache, which is made if it is not there, or anew if it is of other images.

    Raises:
        DataError: as `look_through`, or the file is no cache.
    """
    path, key = Path(str(how.cache)), cache_key(files, how)
    there = open_cache(path, key)
    if there is not None:
        return there
    changed = path.exists()
    images, kept = look_through(files, how, keep=False)
    write_cache(path, images, replace(kept, key=key))
    made = open_cache(path, key)
    if made is None:
        raise DataError(f"the cache {path} was changed while it was written")
    notes = [f"{path} held other images, or decoded in another way: it is made anew"] if changed else []
    return made[0], replace(made[1], notes=[*made[1].notes, *notes])


def look_through(files: Sequence[Path], how: Reading, keep: bool = True) -> tuple[Any, Kept]:
    """Decodes all images: an array of those that can be read, or a lazy one where they are too many or not to be kept;
    and which these are, with what is to be noted.

    Raises:
        DataError: one cannot be read, or they have different sizes; it names the file.
    """
    decoders = Decoders(worker_count(how.workers, len(files)), how)
    found: list[Decoded] = []
    places, broken, held = [], [], 0
    images: list[Array] = []
    for place, one in enumerate(decoders.decoded(files, keep)):
        if one.error:
            broken.append(_skipped(one.error, how))
            continue
        found.append(replace(one, pixels=None))
        places.append(place)
        _refuse_other_size(found, files[places[0]], files[place])
        if one.pixels is not None:
            held += one.pixels.nbytes
            images = [] if held > KEPT else images
            images += [one.pixels] if held <= KEPT else []
    notes = [one.note for one in found if one.note]
    if not found:
        return np.empty((0, 1, 1, 1), np.uint8), Kept("", places, [*notes, *_left_out(broken)])
    channels = how.channels or max(one.shape[2] for one in found)
    told = [*notes, *channel_notes([one.shape[2] for one in found], channels), *_left_out(broken)]
    itemsize = max(one.itemsize for one in found)
    if images:
        return stacked(images, channels, itemsize)[0], Kept("", places, told)
    own = [files[place] for place in places]
    return ImageFiles(own, (*found[0].shape[:2], channels), itemsize, decoders), Kept("", places, told)


def _skipped(error: str, how: Reading) -> str:
    if not how.skip_broken:
        raise DataError(f"{error}; --skip-broken goes on without it")
    return error


def _refuse_other_size(found: Sequence[Decoded], before: Path, file: Path) -> None:
    first, last = found[0].shape[:2], found[-1].shape[:2]
    if first != last:
        sizes = f"{file} is {last[0]}x{last[1]}, {before} is {first[0]}x{first[1]} (rows x columns)"
        raise DataError(f"{sizes}: give them one size, as with --resize {first[0]}x{first[1]}")


def _left_out(broken: Sequence[str]) -> tuple[str, ...]:
    if not broken:
        return ()
    more = f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    return (f"{len(broken)} images left out: {'; '.join(broken[:SHOWN])}{more}",)
