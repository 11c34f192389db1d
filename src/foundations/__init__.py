"""Methods of the part "Foundations": matrix calculus and the Transformer."""
