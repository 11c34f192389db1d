"""Neural networks on graphs."""
