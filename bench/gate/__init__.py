"""The gate: two revisions, installed separately and timed alternately by one harness."""
