"""The gate's processes: two revisions side by side, installed apart, timed in turns by one harness."""
