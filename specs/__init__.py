"""Specs that ship with the package and are found by name: `dslc check lenet5`."""
