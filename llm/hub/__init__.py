"""From a model's name to checked files on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from .gguf_header import GGUFHeader, check_gguf
    from .gguf_memory import estimate_gguf_memory
    from .policy import DownloadPolicy, download_policy, set_download_policy
    from .progress import DownloadProgress
    from .resolve import ResolvedModel, resolve_model

__all__ = [
    "DownloadPolicy",
    "DownloadProgress",
    "GGUFHeader",
    "ResolvedModel",
    "check_gguf",
    "download_policy",
    "estimate_gguf_memory",
    "resolve_model",
    "set_download_policy",
]

_ON_DEMAND = {
    "DownloadPolicy": ".policy",
    "DownloadProgress": ".progress",
    "GGUFHeader": ".gguf_header",
    "ResolvedModel": ".resolve",
    "check_gguf": ".gguf_header",
    "download_policy": ".policy",
    "estimate_gguf_memory": ".gguf_memory",
    "resolve_model": ".resolve",
    "set_download_policy": ".policy",
}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)
