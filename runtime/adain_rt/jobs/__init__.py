"""What to do: jobs that take a Stylizer and plain values, yield what happened, and print nothing."""
