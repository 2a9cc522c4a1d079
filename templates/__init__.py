"""The templates of the emitted C; read by `dslc.emit`."""
