"""The gate's measurements: two revisions, installed separately and timed alternately by one harness."""
