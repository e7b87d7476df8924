"""The demo model: a few megabytes trained by the recipe in this package, so that the first run needs no download.

It is a demonstration and says so. This module only tells where the weights are; training and export live in leaf
modules that need the `train` extra.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS_PATH = Path(__file__).parent / "weights"
GGUF_PATH = WEIGHTS_PATH / "practorflow-demo.gguf"
HF_PATH = WEIGHTS_PATH / "huggingface"

__all__ = ["GGUF_PATH", "HF_PATH", "WEIGHTS_PATH"]
