"""Running chapters: one alone, many side by side, or as jobs of a cluster."""
