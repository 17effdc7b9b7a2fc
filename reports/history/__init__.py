"""Many runs: kept in one file, shown as series, searched for the runs at which something changed."""
