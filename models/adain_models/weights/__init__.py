"""Weights on disk: the named models, where they lie, fetching and importing them."""
