"""Page of a run: HTML with tables and plots, Markdown, and the notebook view."""
