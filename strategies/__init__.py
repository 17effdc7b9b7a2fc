"""Methods of differentiation: the contract, one module per strategy, and the registry."""
