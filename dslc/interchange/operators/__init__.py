"""What operators of ONNX are in the language: a function for each, by the operator's name."""
