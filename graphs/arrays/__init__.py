"""Array libraries: the functions that forward rules call, and NumPy kernels for the ops that need one."""
