"""Where a layout model of Docling's is on disk, it is used; a folder without one is refused when the loader is made."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from llm import exceptions
from llm.document import DocumentLoader
from llm.document.layout_models import layout_engine
from llm.document.page_lines import Line, rows_of
from llm.document.page_tables import grid_of

LABELS = [
    "caption",
    "footnote",
    "formula",
    "list_item",
    "page_footer",
    "page_header",
    "picture",
    "section_header",
    "table",
    "text",
    "title",
    "document_index",
    "code",
    "checkbox_selected",
    "checkbox_unselected",
    "form",
    "key_value_region",
]


def test_which_model_a_folder_holds(tmp_path: Path) -> None:
    """Weights are preferred to a graph; a folder with neither is named with what it should hold."""
    with pytest.raises(exceptions.ConfigError, match="docling-layout-heron"):
        layout_engine(tmp_path)
    with pytest.raises(exceptions.ConfigError, match="artifacts_path"):
        DocumentLoader(artifacts_path=tmp_path)
    for folder, file, engine in (
        ("docling-project--docling-layout-heron-onnx", "model.onnx", "onnxruntime"),
        ("docling-project--docling-layout-heron", "model.safetensors", "transformers"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
        assert layout_engine(tmp_path) == engine


def test_cells_of_a_table_that_a_model_has_found() -> None:
    """Its rows and columns are told apart by where its lines stand; where they cannot be, each row is a line."""
    table = [Line(text, left, top, left + 30, top + 10) for top in (0, 20) for left, text in ((0, "a"), (100, "b"))]
    assert grid_of(rows_of(table)) == (((0,), (1,)), ((2,), (3,)))
    prose = [Line("a line of text", 0, top, 90, top + 10) for top in (0, 14)]
    assert grid_of(rows_of(prose)) == (((0,),), ((1,),))


@pytest.mark.soak
def test_a_layout_model_from_disk(tmp_path: Path, samples: ModuleType) -> None:
    """A model of the right architecture is loaded from its folder and run, without torchvision and without a download.

    Its weights are random, so what it says about the page is noise; the text is there all the same.
    """
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    folder = tmp_path / "docling-project--docling-layout-heron"
    sizes = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "embedding_size": 8, "layer_type": "basic"}
    backbone = transformers.RTDetrResNetConfig(**sizes, out_features=["stage2", "stage3", "stage4"])
    small = {"encoder_hidden_dim": 16, "encoder_ffn_dim": 16, "encoder_attention_heads": 2, "encoder_layers": 1}
    decoder = {"d_model": 16, "decoder_ffn_dim": 16, "decoder_attention_heads": 2, "decoder_layers": 2}
    config = transformers.RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[16, 24, 32],
        decoder_in_channels=[16, 16, 16],
        num_queries=20,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        **small,
        **decoder,
    )
    transformers.RTDetrV2ForObjectDetection(config).save_pretrained(folder)
    size = {"height": 640, "width": 640}
    processor = {"image_processor_type": "RTDetrImageProcessor", "do_resize": True, "size": size, "do_pad": False}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**processor, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": False})
    )
    with DocumentLoader(artifacts_path=tmp_path) as loader:
        document = loader.load_bytes(samples.pdf_of_layouts(), "layouts.pdf")
    assert document.complete
    for text in ("The harbour in two columns", "row 11 of the right column", "After the table stands"):
        assert text in document.text
