"""What drives a compiled network from Python: data, training, weights, reports."""
