"""Graph framelets: the transform, convolution, pooling, experiments."""
