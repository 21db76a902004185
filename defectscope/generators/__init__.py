"""Generators of labelled synthetic data."""
