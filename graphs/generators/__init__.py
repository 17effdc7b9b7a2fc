"""Graph generators: multilayer perceptrons, chains, attention, and graphs of one op."""
