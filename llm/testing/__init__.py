"""Fakes and contract suites for those who build on this library; light, and used by its own tests."""
