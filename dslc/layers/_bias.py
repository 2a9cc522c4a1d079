"""The gradient of a bias: dy summed over examples and all axes but the last."""

from __future__ import annotations

from dslc.lowering.site import Site


def bias_gradient(site: Site) -> None:
    """db by `channel_sum`, in chunks where there are many pixels or steps; nothing where the bias does not learn."""
    if (db := site.gradient("bias")) is not None:
        chunks = site.chunks("bias_chunks", db.shape)
        site.op("channel_sum", "backward_bias", (site.dy,), (chunks or db,))
        if chunks is not None:
            site.op("chunk_sum", "merge_bias", (chunks,), (db,))
