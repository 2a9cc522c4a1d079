"""From syntax tree to checked network: `program.py` walks a file and asks the others, one kind of check a file.

Each check lies with its errors. Nothing here plans, computes or prints C.
"""
