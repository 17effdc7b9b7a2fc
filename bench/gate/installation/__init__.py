"""Installation of both sides of a gate: environments, requirements, and the rules of their imports."""
