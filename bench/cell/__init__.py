"""Measurement of one cell: verification, predicted bytes, memory, side effects and timing.

The gate loads this package by its path on both sides, so it imports only `jacobench.strategies.contract`.
"""
