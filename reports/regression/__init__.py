"""Verdicts: whether the head of a change is slower, bigger or grows faster than its base, and how sure that is."""
