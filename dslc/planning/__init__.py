"""From graph to plan: `planner.py` runs the passes in their order, `tuned.py` keeps what `--tune` has measured."""
