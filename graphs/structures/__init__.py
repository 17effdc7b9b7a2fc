"""Sparsity structures of local Jacobians: patterns as CSR arrays and as views of the dense matrix."""
