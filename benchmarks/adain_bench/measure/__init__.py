"""Taking times."""
