"""The rendered book: staging, Sphinx, the pages made from data, checks of the result."""
