"""The playground, `dslc play`: a page in the browser to write specs and to watch them learn."""
