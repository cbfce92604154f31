"""What the arithmetic must cost, and what it does cost."""
