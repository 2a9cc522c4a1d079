"""Templates of the kernels, one for each variant of an operation; files that begin with `_` are shared."""
