"""What is timed: this toolkit, its peers and the paper's methods."""
