"""Tuning: a search space, ways to search it, and the account of what a search took."""
