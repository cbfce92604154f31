"""Quantisation of graphs to int8."""
