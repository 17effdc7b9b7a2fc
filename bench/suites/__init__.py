"""Suites: TOML files of sweeps, the cases they expand to, and the cells of those cases."""
