"""From plan to C to native module: `emit.py` prints, `build.py` compiles and loads.

Nothing here decides how something is computed: the plan says it.
"""
