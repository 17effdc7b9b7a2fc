"""What each Jacobian of a graph would jacobian_costs: from the shapes alone, nothing is measured."""
