"""From syntax tree to checked network: `program.py` walks a file and calls the others, which make one kind of check
each.

Every check is in the same file as its errors. Nothing here plans, computes or prints C.
"""
