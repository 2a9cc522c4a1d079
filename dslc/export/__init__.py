"""Networks as C for other programs: `prediction.py` plans it, `prepared.py` computes what prediction reads, `weights.py`
lays that out as a file, and `c_files.py` prints the C around it."""
