"""A compiled network in memory: the arena, views of the parameters, and the calls of its C functions."""
