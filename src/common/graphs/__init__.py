"""Graphs, public graph data, networks on graphs, and how embeddings are judged."""
