"""The page of errors, which `dslc explain` prints parts of."""
