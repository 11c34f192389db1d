"""Matrix calculus: rules of differentiation, and how they are checked."""
