"""Entries of the catalog, one op a file."""
