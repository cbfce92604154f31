"""The commands that export, quantise, build and inspect."""
