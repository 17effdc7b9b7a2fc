"""Other libraries as strategies: they reach a graph through `Graph.evaluate` alone, as a plug-in would."""
