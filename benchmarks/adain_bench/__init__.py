"""How long it takes, measured on this machine."""
