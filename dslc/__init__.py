"""dslc: a compiler for neural networks. A `.net` file becomes specialized C that trains and predicts."""
