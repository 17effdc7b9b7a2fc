"""What pytest needs to know in a checkout: the options and fixtures of ``pytest bench``."""

pytest_plugins = ["jacobench.bench.run.pytest_plugin"]
