"""The language: source text, syntax tree, parser, argument types, and errors with their place.

Nothing here knows a layer or a size rule of a layer: the vocabulary and the checker do.
"""
