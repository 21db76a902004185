"""Geometry primitives that several families need."""
