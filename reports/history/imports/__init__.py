"""Import of results of other tools into a history: one module per format."""
