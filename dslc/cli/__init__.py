"""The command line: one file a command, and the tables that commands print."""
