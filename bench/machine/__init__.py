"""The machine: its record, the environment of worker processes, checks for noise sources, and noise itself."""
