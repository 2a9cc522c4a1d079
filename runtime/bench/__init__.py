"""How fast a network is: `dslc bench` and `dslc train --profile`.

`machine.py` measures what the machine can do at most, `timed.py` how long each kernel takes, `profile.py` makes layers
and passes of it. The same network in other frameworks is in `torch_contender.py`, `jax_contender.py` and
`onnx_contender.py`, each in a process of its own (`worker.py`); `turns.py` lets them work one at a time.
"""
