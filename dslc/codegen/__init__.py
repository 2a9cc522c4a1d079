"""From plan to C to native module: `emit.py` makes the whole file, `build.py` compiles and loads it.

`names.py` gives names, `functions.py` prints kernels, `phases.py` the functions that call them, `tools.py` what kernels
call, `text.py` makes it tidy; `templating.py` fills templates. Nothing here decides how something is computed: the plan
says it.
"""
