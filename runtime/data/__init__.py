"""Data: readers of files and folders, what a model remembers of its data, arrays made to fit a network, splits.

Nothing here knows a model, and no reader knows a network.
"""
