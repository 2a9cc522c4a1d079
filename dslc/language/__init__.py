"""The language: source text, syntax tree, parser, argument types, and errors with their place.

Nothing here knows a layer or a size rule of a layer: what the words mean is the vocabulary's and the checker's business.
"""
