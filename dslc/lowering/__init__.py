"""From checked network to graph: `lower.py` walks the network, `site.py` is what one layer sees of it, `details.py`
what kernels are told.

Nothing here knows how an operation runs.
"""
