"""What is differentiated: ops as a table of rules, the graph, generators, and the catalogue of architectures."""
