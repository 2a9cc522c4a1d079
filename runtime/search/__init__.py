"""Hyperparameter search over the params that have a range."""
