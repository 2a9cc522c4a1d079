"""Search over the params that have a range."""
