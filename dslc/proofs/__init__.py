"""Independent checks of the compiled C: a NumPy interpreter, numerical gradients, scales of activations.

The runtime does not depend on them.
"""
