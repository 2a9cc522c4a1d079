"""Quantized networks: 8-bit integers in place of floats, their arithmetic in NumPy, and their C (Jacob et al. 2018,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference").

Nothing in here trains, reads files or data, or knows a run folder.
"""
