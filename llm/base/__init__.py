"""Contracts and values that every other part shares."""
