"""Philox4x32-10, the counter-based generator behind dropout masks and augmentation, in NumPy.

Salmon, Moraes, Dror and Shaw, 'Parallel random numbers: as easy as 1, 2, 3' (SC 2011). The emitted C has its own. A
number depends only on seed, step, stream and position: masks take no memory and can be computed in any order.
"""

from __future__ import annotations

from dslc.numerics import Array, np

ROUNDS = 10


def philox4x32(counter: Array, key: tuple[int, int]) -> Array:
    """Four random words for each counter: `counter` and the result are (n, 4) uint32, `key` is two words."""
    words = [counter[:, i].astype(np.uint64) for i in range(4)]
    low, high = key
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    for _ in range(ROUNDS):
        first = words[0] * np.uint64(0xD2511F53)
        second = words[2] * np.uint64(0xCD9E8D57)
        words = [
            (second >> shift) ^ words[1] ^ np.uint64(low),
            second & mask,
            (first >> shift) ^ words[3] ^ np.uint64(high),
            first & mask,
        ]
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(words, axis=1).astype(np.uint32)


def random_words(count: int, seed: int, step: int, stream: int) -> Array:
    """The first `count` words (uint32) of a stream at a step: word e is word e % 4 of the block with counter e // 4."""
    blocks = -(-count // 4)
    counter = np.zeros((blocks, 4), np.uint32)
    counter[:, 0] = np.arange(blocks, dtype=np.uint32)
    counter[:, 1] = stream
    counter[:, 2] = step & 0xFFFFFFFF
    counter[:, 3] = step >> 32
    return philox4x32(counter, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)).reshape(-1)[:count]
