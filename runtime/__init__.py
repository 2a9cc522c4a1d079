"""The Python side of a compiled network: data, training, weights, analysis, runs and search."""
