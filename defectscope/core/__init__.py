"""What every plugin shares: types, tables, geometry, metrics, options, errors.

``core`` imports no sibling package. The names that plugin authors need are re-exported by
:mod:`defectscope`; the geometry and matching primitives here are public too.
"""
