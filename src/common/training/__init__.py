"""Training: one loop, early stopping, streams of randomness."""
