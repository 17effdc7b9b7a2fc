"""Other libraries as strategies. They use a graph only through `Graph.evaluate`, as a plug-in does."""
