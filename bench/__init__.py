"""How it is measured: cases and suites, the pytest-benchmark suite, memory, processes, records."""
