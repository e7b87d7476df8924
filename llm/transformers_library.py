"""transformers and PyTorch as libraries of this process, with what could reach the network switched off first.

Models are given to transformers as folders that were checked before, so it has no reason to ask a hub; these switches
make sure that it has no way either. They are read when transformers is imported, which happens here.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from .exceptions import ModelLoadError

# A repository of the hub may replace parts of a model by compiled code, and one with pickled weights starts a thread
# that asks a service to convert them.
os.environ["USE_HUB_KERNELS"] = "NO"
os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

try:
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
except ImportError as exc:
    raise ModelLoadError(
        f"backend='transformers' needs PyTorch and transformers ({exc}). Install them: "
        "pip install 'practorflow[transformers]'"
    ) from exc

__all__ = ["torch", "transformers"]
