"""What serves the visitors, and going back to what has served them before."""
