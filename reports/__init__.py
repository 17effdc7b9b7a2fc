"""What is said about a run: tidy tables, terminal tables, plots."""
