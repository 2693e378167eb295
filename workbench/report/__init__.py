"""HTML reports and comparisons of recorded runs."""
