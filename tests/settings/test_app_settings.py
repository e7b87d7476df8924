"""Where a setting's value comes from, and what is said about a bad one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm.exceptions import ConfigError
from llm.knowledge.chroma_knowledge_config import ChromaKnowledgeConfig
from llm.llm_config import LLMConfig
from llm.logs import LogLevels
from settings.app_settings import AppConfiguration, load_settings
from settings.options_file import find_options_file
from settings.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "config" / "options" / "options.env"


def options(folder: Path, text: str) -> Path:
    path = folder / "options.env"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_means_the_defaults() -> None:
    """Without a file and without variables, the demo model with every default."""
    configuration = load_settings(environ={})
    assert configuration.ModelConfiguration == LLMConfig(model_name="demo")
    assert configuration.KnowledgeChromaConfiguration == ChromaKnowledgeConfig()
    assert configuration.LoggerConfiguration == LogLevels()
    assert configuration.DownloadConfiguration.offline is False


def test_the_shipped_file_holds_the_defaults() -> None:
    """What stands in the shipped options.env is what applies without it."""
    shipped = load_settings(environ={}, options_file=SHIPPED)
    assert shipped == load_settings(environ={})
    assert shipped.options_file == SHIPPED


def test_the_shipped_file_names_every_variable() -> None:
    """Every variable can be found in the shipped file, if only as a comment."""
    text = SHIPPED.read_text(encoding="utf-8")
    assert [name for name in VARIABLES if f"{name}=" not in text] == []


def test_the_commented_lines_of_the_shipped_file_are_valid(tmp_path: Path) -> None:
    """A reader who removes a '# ' in front of a setting gets a setting, not an error."""
    lines = [
        line.removeprefix("# ") if line.startswith(("# LLM_", "# KB_", "# LOG_")) else line
        for line in SHIPPED.read_text(encoding="utf-8").splitlines()
    ]
    lines.append("LLM_BACKEND=transformers")  # what LLM_QUANTIZATION goes with
    model = load_settings(environ={}, options_file=options(tmp_path, "\n".join(lines))).ModelConfiguration
    assert model.model_name == "bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf"
    assert model.stop_tokens == ("</s>", "<|endoftext|>")
    assert (model.quantization, model.seed) == ("4bit", 42)


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    """Environment, then options.env, then default."""
    path = options(tmp_path, "LLM_TEMPERATURE=0.1\nLLM_TOP_P=0.5\n")
    model = load_settings(environ={"LLM_TEMPERATURE": "1.5"}, options_file=path).ModelConfiguration
    assert (model.temperature, model.top_p, model.max_new_tokens) == (1.5, 0.5, 2048)


def test_an_empty_value_counts_as_absent(tmp_path: Path) -> None:
    """``LLM_TEMPERATURE=`` from a shell script or a compose file leaves the next source in force."""
    path = options(tmp_path, "LLM_TEMPERATURE=0.1\nLLM_SEED=\n")
    model = load_settings(environ={"LLM_TEMPERATURE": " "}, options_file=path).ModelConfiguration
    assert (model.temperature, model.seed) == (0.1, None)


def test_none_takes_back_what_the_file_sets(tmp_path: Path) -> None:
    """The word None in the environment switches an optional setting of the file off."""
    path = options(tmp_path, "LLM_BACKEND=transformers\nLLM_QUANTIZATION=4bit\nLLM_STOP_TOKENS=a,b\nLLM_SEED=7\n")
    environ = {"LLM_QUANTIZATION": "None", "LLM_STOP_TOKENS": "none", "LLM_SEED": "None", "LLM_DTYPE": "None"}
    model = load_settings(environ=environ, options_file=path).ModelConfiguration
    assert (model.quantization, model.stop_tokens, model.seed, model.dtype) == (None, None, None, None)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False)])
def test_flags_are_written_in_the_usual_ways(text: str, value: bool) -> None:
    """Yes and no have several spellings, all of which mean one thing."""
    assert load_settings(environ={"LLM_OFFLINE": text}).DownloadConfiguration.offline is value


def test_stop_texts_keep_their_line_breaks(tmp_path: Path) -> None:
    """Spaces around the commas are dropped, a line break in quotes is a stop text."""
    path = options(tmp_path, 'LLM_STOP_TOKENS="</s>, \\n\\n , User:"\n')
    assert load_settings(environ={}, options_file=path).ModelConfiguration.stop_tokens == ("</s>", "\n\n", "User:")


BAD_VALUES = [
    ("LLM_TEMPERATURE", "5", "a number from 0 to 2"),
    ("LLM_TEMPERATURE", "nan", "a number"),
    ("LLM_TEMPERATURE", "warm", "a number"),
    ("LLM_TOP_P", "0", "above 0"),
    ("LLM_MAX_NEW_TOKENS", "1e3", "a whole number"),
    ("LLM_MAX_NEW_TOKENS", "0", "from 1 to"),
    ("LLM_N_CTX", "1_000", "a whole number"),
    ("LLM_BACKEND", "vllm", "'llama_cpp', 'transformers'"),
    ("LLM_DEVICE", "gpu", "'cuda'"),
    ("LLM_DTYPE", "int8", "'float16'"),
    ("LLM_QUANTIZATION", "4bit", "backend='llama_cpp'"),
    ("LLM_SEED", "-1", "from 0 to"),
    ("LLM_STOP_TOKENS", "a,,b", "non-empty"),
    ("LLM_TRUST_REMOTE_CODE", "perhaps", "true or false"),
    ("LLM_OFFLINE", "2", "1 or 0"),
    ("LLM_HUB_ENDPOINT", "ftp://mirror", "http://"),
    ("LLM_HUB_ENDPOINT", "http://mirror:port", "http://"),
    ("LOG_DOC_LEVEL", "LOUD", "'WARNING'"),
    ("KB_TYPE", "sqlite", "'chromadb'"),
    ("KB_CHROMA_BATCH_SIZE", "0", "from 1 to"),
    ("KB_CHROMA_CONTEXT_COLLECTION", "knowledge_retrieval", "no other collection"),
    ("KB_CHROMA_DOCUMENT_COLLECTION", "a b", "letters, digits"),
    ("KB_CHROMA_CONTEXT_CHUNK_SIZE", "64", "at least"),
    ("KB_CHROMA_RETRIEVAL_CHUNK_OVERLAP", "65", "from 0 to 64"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD_VALUES, ids=[f"{n}={v}" for n, v, _ in BAD_VALUES])
def test_a_bad_value_names_the_variable_the_value_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    """The message can be acted upon without reading code."""
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={name: value})
    assert caught.value.field == name
    assert caught.value.value == value
    assert allowed in str(caught.value)
    assert "set in the environment" in str(caught.value)


def test_a_bad_value_says_which_file_it_stands_in(tmp_path: Path) -> None:
    """With a file involved, the message leads to it."""
    path = options(tmp_path, "LLM_N_BATCH=many\n")
    with pytest.raises(ConfigError, match=r"LLM_N_BATCH='many' is not allowed: a whole number") as caught:
        load_settings(environ={}, options_file=path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("LLM_TEMPRATURE", "LLM_TEMPERATURE"),
        ("KB_CHROMA_BATCHSIZE", "KB_CHROMA_BATCH_SIZE"),
        ("llm_model", "LLM_MODEL"),
    ],
)
def test_a_misspelt_variable_in_the_file_is_an_error(tmp_path: Path, written: str, meant: str) -> None:
    """A setting that would silently have no effect is refused, with the name that was probably meant."""
    with pytest.raises(ConfigError, match=f"the nearest is {meant}"):
        load_settings(environ={}, options_file=options(tmp_path, f"{written}=1\n"))


def test_other_names_are_left_alone(tmp_path: Path) -> None:
    """Variables of other programs in the file or the environment mean nothing here."""
    path = options(tmp_path, "SERPAPI_API_KEY=x\nexport LLM_TOP_P=0.5\n")
    assert load_settings(environ={"LLM_SOMETHING": "1"}, options_file=path).ModelConfiguration.top_p == 0.5


def test_dollar_signs_are_just_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment is pasted into values."""
    monkeypatch.setenv("HOME_OF_MODELS", "/secret")
    path = options(tmp_path, "LLM_MODELS_DIR=${HOME_OF_MODELS}/x\n")
    assert load_settings(environ={}, options_file=path).ModelConfiguration.models_dir == "${HOME_OF_MODELS}/x"


@pytest.mark.parametrize("line", ["SERPAPI_KEY_4711", "=key4711", "'SERPAPI_API_KEY=key4711"])
def test_a_line_that_sets_nothing_is_an_error(tmp_path: Path, line: str) -> None:
    """A damaged line is reported with its number instead of being skipped, and without what stands in it."""
    with pytest.raises(ConfigError, match=r"options\.env' is not allowed: .* line 4 is none") as caught:
        load_settings(environ={}, options_file=options(tmp_path, f"# comment\nLLM_TOP_P=0.5\n\n{line}\n"))
    assert "4711" not in str(caught.value)


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    """Any file that cannot be read is a configuration error, not a traceback from a codec."""
    path = tmp_path / "options.env"
    path.write_bytes(b"LLM_MODEL=\xff\xfe\n")
    with pytest.raises(ConfigError, match="text in UTF-8"):
        load_settings(environ={}, options_file=path)


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path: Path) -> None:
    """An editor that begins files with a byte order mark does not hide the first setting."""
    path = tmp_path / "options.env"
    path.write_bytes(b"\xef\xbb\xbfLLM_TOP_P=0.5\r\nLLM_SEED=3\r\n")
    model = load_settings(environ={}, options_file=path).ModelConfiguration
    assert (model.top_p, model.seed) == (0.5, 3)


def test_the_named_options_file_comes_first(tmp_path: Path) -> None:
    """PRACTORFLOW_OPTIONS wins over the current folder, which wins over the project's own file."""
    here, project, named = tmp_path / "here", tmp_path / "project", options(tmp_path, "")
    for folder in (here, project):
        (folder / "config" / "options").mkdir(parents=True)
        (folder / "config" / "options" / "options.env").touch()
    (project / "pyproject.toml").touch()

    def find(environ: dict[str, str], current: Path) -> Path | None:
        return find_options_file(environ, current_folder=current, project_folder=project)

    assert find({"PRACTORFLOW_OPTIONS": str(named)}, here) == named
    assert find({}, here) == here / "config" / "options" / "options.env"
    assert find({}, tmp_path) == project / "config" / "options" / "options.env"
    (project / "pyproject.toml").unlink()
    assert find({}, tmp_path) is None


def test_a_named_options_file_must_exist(tmp_path: Path) -> None:
    """A path that the operator gave on purpose is never passed over."""
    with pytest.raises(ConfigError, match="PRACTORFLOW_OPTIONS="):
        find_options_file({"PRACTORFLOW_OPTIONS": str(tmp_path / "absent.env")})


def run_program(code: str, environ: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_configuration_of_a_process(tmp_path: Path) -> None:
    """A program's appConfiguration follows its environment, is one object, writes nothing and sets the policy."""
    code = """
import os
import llm  # writes the switches of its dependencies
before = dict(os.environ)
import settings.app_settings as app_settings
from settings.app_settings import appConfiguration
from llm.hub.policy import download_policy
assert appConfiguration is app_settings.appConfiguration
assert dict(os.environ) == before
print(appConfiguration.ModelConfiguration.temperature, download_policy().offline, download_policy().endpoint)
"""
    environ = {"LLM_TEMPERATURE": "0.3", "LLM_OFFLINE": "1", "LLM_HUB_ENDPOINT": "https://mirror.example.org"}
    done = run_program(code, environ, tmp_path)
    assert done.stdout.split() == ["0.3", "True", "https://mirror.example.org"], done.stderr


def test_importing_the_module_reads_nothing(tmp_path: Path) -> None:
    """A broken environment is reported when the configuration is asked for, not when the module is imported."""
    code = """
import settings.app_settings
print("imported")
settings.app_settings.appConfiguration
"""
    done = run_program(code, {"LLM_TEMPERATURE": "hot"}, tmp_path)
    assert done.stdout == "imported\n"
    assert "ConfigError: LLM_TEMPERATURE='hot' is not allowed: a number" in done.stderr


def test_a_configuration_is_a_value() -> None:
    """Two configurations of the same settings are equal, and cannot be changed."""
    first: AppConfiguration = load_settings(environ={"LLM_SEED": "1"})
    assert first == load_settings(environ={"LLM_SEED": "1"})
    with pytest.raises(AttributeError):
        first.options_file = None  # type: ignore[misc]


def test_the_web_is_decided_by_two_variables() -> None:
    """LLM_PRIVATE forbids it; the key of SerpAPI is read and never shown."""
    assert load_settings(environ={}).WebConfiguration.private is False
    web = load_settings(environ={"LLM_PRIVATE": "1", "SERPAPI_API_KEY": "k-123"}).WebConfiguration
    assert (web.private, web.serpapi_api_key) == (True, "k-123")
    assert "k-123" not in repr(web)
    with pytest.raises(ConfigError, match="LLM_PRIVATE='perhaps'"):
        load_settings(environ={"LLM_PRIVATE": "perhaps"})
