"""Rows: their columns, the measurements they summarize, and the statistics of both."""
