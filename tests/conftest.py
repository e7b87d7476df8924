"""Importing llm here switches off what its dependencies would send, before a test module imports one of them."""

from __future__ import annotations

import llm  # noqa: F401
