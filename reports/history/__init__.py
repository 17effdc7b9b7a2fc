"""History of many runs: storage, change points, checks, plots, page and exports."""
