"""Networks as ONNX. What a layer is in ONNX is a function of its name in `activations.py`, `windows.py`,
`normalization.py`, `shapes.py` or `combining.py`; `model.py` puts them together.

Inside an exported model images are (batch, channels, rows, columns), as ONNX has them, and vectors (batch, features):
the channels are always axis 1.
"""
