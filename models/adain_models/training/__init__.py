"""Training: the loop, its losses and what it is fed."""
