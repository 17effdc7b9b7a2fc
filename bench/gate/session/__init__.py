"""A pytest session of one side, in a process of its own."""
