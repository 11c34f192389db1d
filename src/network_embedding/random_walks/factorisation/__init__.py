"""Embeddings that factorise a matrix of the graph, and the matrices themselves."""
