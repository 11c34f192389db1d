"""The experiments of the papers, a module a paper."""
