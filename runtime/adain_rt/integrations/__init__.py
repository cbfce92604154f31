"""adain-rt as a part of other systems. Each module needs the extra of its name."""
