"""What an editor shows of a spec: `analysis` reads it, `hover`, `completion`, `sizes` and `symbols` answer, and
`server` speaks the Language Server Protocol. `lexer` colors specs for Pygments."""
