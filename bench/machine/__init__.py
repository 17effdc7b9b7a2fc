"""The machine: its record, the environment of a worker process, the doctor, and noise."""
