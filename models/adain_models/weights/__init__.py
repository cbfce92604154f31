"""Weights on disk: the named models, where they are stored, and how they are fetched and imported."""
