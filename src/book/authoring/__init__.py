"""The files that a new chapter starts from."""
