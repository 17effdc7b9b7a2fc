"""Renderers: terminal, Markdown, JUnit, annotations, and files."""
