"""Gates, the adoption of a run as the reference, drift, the larger profiles."""
