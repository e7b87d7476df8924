"""The engine on onnxruntime computes what torch computes, from the same weights, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from llm.document.embedding_folder import read_embedding_folder
from llm.document.embedding_tokenizer import token_ids
from llm.document.embeddings import Embedder, open_embedder
from llm.document.onnx_embedder import OnnxEmbedder
from llm.document.onnx_graph import build_graph, can_build
from llm.exceptions import ConfigError, EngineClosedError, ModelFormatError
from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from llm.testing.small_embedding_model import write_embedding_model

TEXTS = [
    "The contract ends on 31 December unless one party renews it in writing.",
    "When does the agreement terminate?",
    "Revenue rose by 12 % to 4.3 million euros.",
    "How much did sales grow?",
    "Dogs are loyal animals that like long walks in the park.",
    "日本語の文章",
    "x",
    "",
    "half a pair \ud83d",
    "A long passage about many things, one after the other, without end. " * 30,
]


@pytest.fixture(scope="module")
def default_model() -> Embedder:
    """The model that a new installation has."""
    return open_embedder(ChromaKnowledgeConfig(embedding_engine="onnx", embedding_model_dir="/nowhere"))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_the_graph_is_the_network(tmp_path: Path, pooling: str, architecture: str) -> None:
    """Without rounding, the graph gives the same vectors as transformers with the same weights."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = write_embedding_model(tmp_path / "m", pooling=pooling)
    settings = json.loads((folder / "config.json").read_text())
    settings["model_type"] = architecture
    settings["architectures"] = ["BertModel" if architecture == "bert" else "RobertaModel"]
    settings["pad_token_id"] = 0
    (folder / "config.json").write_text(json.dumps(settings))
    embedder = OnnxEmbedder(read_embedding_folder(folder), precision="fp32")
    model = transformers.AutoModel.from_pretrained(str(folder)).eval()
    for text in TEXTS:
        ids = torch.tensor([token_ids(embedder._tokenizer, text)])
        with torch.no_grad():
            hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        expected = (hidden.mean(0) if pooling == "mean" else hidden[0]).numpy()
        np.testing.assert_allclose(embedder.embed([text])[0], expected / np.linalg.norm(expected), atol=2e-6)


def test_company_does_not_matter(tmp_path: Path) -> None:
    """Texts of different lengths in one call get the vectors that they get alone, in their own order."""
    embedder = OnnxEmbedder(read_embedding_folder(write_embedding_model(tmp_path / "m")), precision="fp32")
    together = embedder.embed(TEXTS * 3)
    alone = np.stack([embedder.embed_query(text) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (3, 1)), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_eight_bits_are_faithful(default_model: Embedder) -> None:
    """With 8-bit weights the default model's vectors point where the exact ones do, and rank texts alike."""
    folder = read_embedding_folder(
        Path(default_model._folder.path)  # type: ignore[attr-defined]
    )
    exact = OnnxEmbedder(folder, precision="fp32")
    expected, rounded = exact.embed(TEXTS), default_model.embed(TEXTS)
    assert default_model.dimension == 384
    assert (expected * rounded).sum(axis=1).min() > 0.97
    assert (expected * rounded).sum(axis=1).mean() > 0.985
    for question, answer in ((1, 0), (3, 2)):
        scores = rounded @ default_model.embed_query(TEXTS[question])
        scores[question] = -1
        assert int(scores.argmax()) == answer


def test_prompts_stand_before_texts(tmp_path: Path) -> None:
    """A model's prompts for queries and documents are written before them."""
    prompts = {"query": "money: ", "passage": "river: "}
    embedder = OnnxEmbedder(
        read_embedding_folder(write_embedding_model(tmp_path / "a", prompts=prompts)), precision="fp32"
    )
    plain = OnnxEmbedder(read_embedding_folder(write_embedding_model(tmp_path / "b")), precision="fp32")
    np.testing.assert_allclose(embedder.embed_query("the bank"), plain.embed_query("money: the bank"), atol=1e-6)
    np.testing.assert_allclose(embedder.embed(["the bank"]), plain.embed(["river: the bank"]), atol=1e-6)


def test_torch_is_not_imported() -> None:
    """Opening the default model and embedding with it leaves torch alone."""
    code = (
        "import sys; from llm.document.embeddings import open_embedder\n"
        "from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig\n"
        "embedder = open_embedder(ChromaKnowledgeConfig(embedding_engine='onnx', embedding_model_dir='/nowhere'))\n"
        "print(embedder.embed(['a', 'b']).shape, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 384) False False"


def test_threads_share_an_embedder(default_model: Embedder) -> None:
    """Threads that ask at once all get their own answers."""
    results: dict[int, np.ndarray] = {}
    expected = np.stack([default_model.embed_query(text) for text in TEXTS])

    def ask(number: int) -> None:
        results[number] = np.stack([default_model.embed_query(text) for text in TEXTS])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results.values():
        np.testing.assert_array_equal(result, expected)


def test_a_closed_embedder_says_so(tmp_path: Path) -> None:
    """After close, which may be called twice, an embedder refuses."""
    embedder = OnnxEmbedder(read_embedding_folder(write_embedding_model(tmp_path / "m")))
    embedder.close()
    embedder.close()
    with pytest.raises(EngineClosedError):
        embedder.embed(["x"])


def test_identities_tell_models_and_engines_apart(tmp_path: Path) -> None:
    """Copies of a model have one identity; another model or another precision has another."""
    folders = [write_embedding_model(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    first, copy, other = (OnnxEmbedder(read_embedding_folder(folder)) for folder in folders)
    exact = OnnxEmbedder(read_embedding_folder(folders[0]), precision="fp32")
    assert first.identity == copy.identity
    assert len({first.identity, other.identity, exact.identity}) == 3


def test_what_the_engine_cannot_run_is_said(tmp_path: Path) -> None:
    """Another pooling or architecture is an error that names the setting, when this engine is asked for by name."""
    folder = write_embedding_model(tmp_path / "m", pooling="max")
    assert not can_build(read_embedding_folder(folder))
    with pytest.raises(ConfigError, match=r"embedding_engine='onnx'.*sentence_transformers"):
        open_embedder(ChromaKnowledgeConfig(embedding_model=str(folder), embedding_engine="onnx"))


@pytest.mark.parametrize("change", [{"hidden_size": "64"}, {"num_hidden_layers": 9}, {"layer_norm_eps": None}])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """A configuration that does not fit the weights is an error that names the folder, not a wrong vector."""
    folder = write_embedding_model(tmp_path / "m")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, **change}))
    with pytest.raises(ModelFormatError, match="do not fit"):
        OnnxEmbedder(read_embedding_folder(folder))


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    """A file that is no safetensors file is an error that names it."""
    folder = write_embedding_model(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"\x10" + bytes(7) + b"not a header....")
    with pytest.raises(ModelFormatError, match=r"model\.safetensors"):
        OnnxEmbedder(read_embedding_folder(folder))


def test_the_file_is_onnx(tmp_path: Path) -> None:
    """The bytes are a valid ONNX model by the checker of the onnx package."""
    onnx = pytest.importorskip("onnx")
    folder = read_embedding_folder(write_embedding_model(tmp_path / "m"))
    from llm.document.onnx_embedder import _read_weights

    for precision in ("fp32", "int8"):
        parsed = onnx.load_from_string(build_graph(folder, _read_weights(folder), precision=precision))  # type: ignore[arg-type]
        onnx.checker.check_model(parsed)
