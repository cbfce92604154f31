"""The networks, the list of named models, and their weights. Importing this package imports no torch."""
