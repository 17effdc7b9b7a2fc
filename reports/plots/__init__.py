"""Plots: functions from a DataFrame or a run to a figure; `all_plots.PLOTS` lists every kind."""
