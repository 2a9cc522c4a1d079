"""Passes: each takes a stage and gives back a better one. One file a pass."""
