"""What building and checking the package takes, beside the package itself; only the standard library is needed."""
