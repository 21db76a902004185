"""Composing components and running them on a series of frames."""
