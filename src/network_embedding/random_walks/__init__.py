"""Embeddings from random walks and their relatives, and the comparison."""
