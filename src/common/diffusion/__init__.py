"""Diffusion models: processes, samplers, denoising networks, an exact mixture."""
