"""Floors, the machine profile, and the time model."""
