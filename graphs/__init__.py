"""Graphs to differentiate: the table of ops, the builder, generators, and published architectures."""
