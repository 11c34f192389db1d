"""Methods of the part "Inverse problems": posterior samples from diffusion models."""
