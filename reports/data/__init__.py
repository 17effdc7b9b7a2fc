"""Run data: the reader, the vocabulary, and number formats."""
