"""Networks as C for other programs. `export.py` makes the files: from a plan (`prediction.py`) and what it reads
(`prepared.py`), stored as `weights.py` says, the header (`interface.py`), the C (`source.py`), and `companions.py`."""
