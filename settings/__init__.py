"""Reads the configuration of this process; the only package that looks at the environment."""
