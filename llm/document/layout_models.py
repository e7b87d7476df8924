"""Which of Docling's layout models a folder holds; looking takes no model and no library."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..exceptions import ConfigError

LayoutEngine = Literal["transformers", "onnxruntime"]

_WEIGHTS = Path("docling-project--docling-layout-heron") / "model.safetensors"
_GRAPH = Path("docling-project--docling-layout-heron-onnx") / "model.onnx"


def layout_engine(folder: str | Path) -> LayoutEngine:
    """What runs the model that is there; where there are both, the weights.

    Raises:
        ConfigError: there is none.
    """
    folder = Path(folder)
    if (folder / _WEIGHTS).is_file():
        return "transformers"
    if (folder / _GRAPH).is_file():
        return "onnxruntime"
    raise ConfigError(
        "artifacts_path",
        str(folder),
        f"a folder that holds {str(_WEIGHTS)!r} or {str(_GRAPH)!r}, as 'docling-tools models download -o FOLDER' makes "
        "it (DOCLING_ARTIFACTS_PATH)",
    )
