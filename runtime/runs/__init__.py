"""Run folders: what `dslc train` leaves and the other commands find again."""
