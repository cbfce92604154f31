"""What this machine is and has: its processor and its memory."""
