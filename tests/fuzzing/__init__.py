"""The search for wrong numbers: random networks of the whole language (`specs`), ways to build them (`variations`), how
far rounding alone may take a number (`rounding`), what is compared (`judge`), and the long run (`run`)."""
