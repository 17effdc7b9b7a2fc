"""Measurements: cells, rows, suites, the machine, floors, runs and the gate."""
