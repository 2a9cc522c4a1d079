"""The templates of the emitted C, read by `dslc/codegen`, and of the report."""
