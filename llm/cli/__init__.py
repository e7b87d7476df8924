"""The `practorflow` command: the library's outermost face, for a person at a terminal and for scripts.

Nothing else in the library imports it. Invariants: standard output carries the result and nothing else; what a
command loads, it loads when it runs, so that help costs nothing.
"""
