"""What follows from the numbers: laws of growth, crossovers, limits, recommendations. DataFrame in, DataFrame out."""
