"""Diffusion models: processes that add noise, and what a good choice of them gains."""
