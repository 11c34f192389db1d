"""Diffusion with fractional noise: processes, samplers, experiments."""
