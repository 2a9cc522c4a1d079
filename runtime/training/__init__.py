"""Training: the epoch loop, checkpoints, history, progress, weight files.

`trainee.py` declares what training needs of a model; nothing here imports the model.
"""
