"""Vectors for the nodes of a network."""
