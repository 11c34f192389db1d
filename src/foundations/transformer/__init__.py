"""The Transformer: its layers, its decoding, its tasks and experiments."""
