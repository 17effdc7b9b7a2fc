"""Measurement of one cell: verification, predicted bytes, memory, side effects and timing.

The gate loads this package by its path in the processes of both revisions. It therefore imports only
`jacobench.strategies.contract` and, relatively, its own modules.
"""
