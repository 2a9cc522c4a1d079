"""Data: arrays made to fit a network, readers of files and folders, splits into sets.

Nothing here knows a model.
"""
