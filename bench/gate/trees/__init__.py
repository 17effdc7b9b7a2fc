"""Files of both sides of a gate: commits, the working tree, submodules."""
