"""Importers: models of other libraries as graphs, one module per library."""
