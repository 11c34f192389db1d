"""Tweedie moment projected diffusions and the methods they are compared with."""
