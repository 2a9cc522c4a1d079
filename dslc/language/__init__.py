"""The language: source text, syntax tree, parser, argument types, and errors with their place.

Nothing here knows any layer or size rule; the vocabulary (`layers/`, `losses/`, ...) and the checker do.
"""
