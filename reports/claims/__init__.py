"""The claims of the question that began it all, each judged by a function from a run's rows."""
