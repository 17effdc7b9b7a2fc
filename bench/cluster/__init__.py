"""Runs on a cluster of Dask: hosts, blocks, and the client that schedules them."""
