"""Training: the epoch loop, checkpoints, history, progress, weight files.

`trainable.py` declares what training needs of a model; nothing here imports the model.
"""
