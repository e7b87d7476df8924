"""From a model's name to checked files on this machine."""

from __future__ import annotations

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
