"""From graph to plan: `planner.py` runs the passes in order, `tuned.py` stores what `--tune` has measured, and
`verifier.py` checks a finished plan."""
