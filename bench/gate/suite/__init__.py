"""A pytest-benchmark suite on both sides of a gate, seen from the gate's own process."""
