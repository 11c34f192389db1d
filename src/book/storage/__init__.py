"""Where things lie, and how they are read, written, locked, fetched and identified."""
