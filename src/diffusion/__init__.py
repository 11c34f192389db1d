"""Diffusion models: the processes that add noise, and what is gained by choosing them well."""
