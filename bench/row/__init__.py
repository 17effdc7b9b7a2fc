"""Rows of a run: columns, measurements, and statistics."""
