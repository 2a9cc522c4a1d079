"""Networks and weights from other programs.

`onnx_file.py` reads an ONNX model, `translate.py` walks over its nodes, each of which is translated by a function in
`operators/`, and `draft.py` collects the layers that this gives; `writer.py` prints them as a spec, `importing.py` does
all of it and compares the result with the model.
"""
