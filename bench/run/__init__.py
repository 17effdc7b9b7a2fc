"""A run: its plan, folder, worker processes, and rows."""
