"""Comparison of two sides: whether head is slower, larger, broken or grows faster than base."""
