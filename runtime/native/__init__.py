"""A compiled network at work: its memory, its parameters, and the calls of its C."""
