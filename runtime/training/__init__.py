"""Training: the epoch loop, checkpoints, history, progress, weight files.

`trainee.py` says what of a model it needs; nothing here imports the model.
"""
