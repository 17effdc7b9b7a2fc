"""Sparsity structures of local Jacobians, as CSR arrays and as views of the dense matrix."""
