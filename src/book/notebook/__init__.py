"""Chapters as notebooks: pairing, parameters, outputs, references, titles."""
