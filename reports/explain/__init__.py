"""Explanation of the local Jacobians of a graph: predicted costs, patterns and conclusions; nothing is measured."""
