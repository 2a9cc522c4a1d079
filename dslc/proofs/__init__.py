"""Judges of the compiled C: an interpreter in NumPy, gradients by finite differences, scales of activations.

They stand above the runtime, which must not need them.
"""
