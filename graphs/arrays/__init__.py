"""Array libraries: the functions that forward rules call."""
