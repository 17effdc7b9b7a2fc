"""Claims about Jacobians and vector-Jacobian products, each tested by a function on the rows of a run."""
