"""Optimization passes, one file each: a pass takes a graph or a planned phase and returns a better one."""
