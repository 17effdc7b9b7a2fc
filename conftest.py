"""Configuration of pytest in a checkout: options and fixtures of ``pytest bench``, and both cores for plain ``pytest``."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["jacobench.bench.run.pytest_plugin"]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Distribute the tests over all cores if pytest is called without paths.

    ``pytest bench`` has a path, so pytest-benchmark measures there: it does not measure under pytest-xdist.
    """
    is_whole_suite = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_whole_suite and config.pluginmanager.hasplugin("xdist") and "PYTEST_XDIST_WORKER" not in os.environ:
        if config.option.numprocesses is None:
            config.option.numprocesses = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "auto"
        if config.option.dist == "no":
            config.option.dist = "loadfile"
