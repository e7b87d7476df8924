"""transformers and PyTorch as libraries of this process, imported in one place.

Models are given to transformers as folders on disk that were checked before, so it has no reason to ask a hub. What it
could send by itself is switched off by `llm.privacy` before it is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .exceptions import ModelLoadError

try:
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
except ImportError as exc:
    raise ModelLoadError(
        f"backend='transformers' needs PyTorch and transformers ({exc}). Install them: "
        "pip install 'practorflow[transformers]'"
    ) from exc

__all__ = ["torch", "transformers"]
