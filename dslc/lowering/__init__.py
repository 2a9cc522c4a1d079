"""From checked network to graph: `lower.py` walks the network, `site.py` is what a layer sees of it, `details.py` is
what kernels need to know besides the tensors.

Nothing here knows how an operation runs.
"""
