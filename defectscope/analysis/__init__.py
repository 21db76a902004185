"""Analyses: from tables to materials quantities and figures."""
