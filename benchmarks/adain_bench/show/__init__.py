"""Reports and plots of what was measured."""
