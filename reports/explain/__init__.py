"""What each Jacobian of a graph would weigh: from the shapes alone, nothing is measured."""
