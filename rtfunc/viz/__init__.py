"""What people look at: progress, training curves, drawings of graphs and trees."""
