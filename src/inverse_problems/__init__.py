"""Methods of the part "Inverse problems": sampling from posteriors with diffusion models."""
