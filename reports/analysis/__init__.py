"""Analysis of a run: growth, crossovers, limits and recommendations. Functions from DataFrame to DataFrame."""
