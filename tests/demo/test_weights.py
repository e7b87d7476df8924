"""The shipped model: small, the same in both forms, and able to answer the README's prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm.demo import GGUF_PATH, HF_PATH, WEIGHTS_PATH
from llm.demo.chat_template import CHAT_TEMPLATE, render
from llm.demo.evaluation import called, evaluate
from llm.demo.generator import evaluation_samples
from llm.demo.sample import Sample

VARIED_TEXTS = [
    "Hello wörld 你好 🙂 \n\n  x\t1234.5 it's I'LL don't",
    '<tool_call>\n{"a": [1, 2.50], "b": null}\n</tool_call><|im_end|>\r\n\r\n    indented   code()  ',
    "\u00e9 \u00a0 \u200b <|im_start|>user\nx<|endoftext|> <tools></tools> <|not_a_token|>",
    "",
    " ",
]


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    """The GGUF file in llama.cpp."""
    llama_cpp = pytest.importorskip("llama_cpp")
    loaded = llama_cpp.Llama(str(GGUF_PATH), n_ctx=2048, n_threads=1, verbose=False)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def reply(model: Any) -> Callable[..., str]:
    """Greedy answers of the GGUF file."""

    def answer(*messages: dict[str, Any], tools: tuple[dict[str, Any], ...] = ()) -> str:
        prompt = render(messages, tools=tools, add_generation_prompt=True)
        tokens = model.tokenize(prompt.encode(), add_bos=False, special=True)
        model.reset()
        return model.detokenize(_greedy(model, tokens), special=True).decode()  # type: ignore[no-any-return]

    return answer


def test_all_weights_together_fit_in_16_megabytes() -> None:
    """What is shipped stays small in all forms together."""
    files = [path for path in WEIGHTS_PATH.rglob("*") if path.is_file()]
    assert {GGUF_PATH, HF_PATH / "model.safetensors", HF_PATH / "tokenizer.json", HF_PATH / "config.json"} <= set(files)
    assert sum(path.stat().st_size for path in files) <= 16_000_000


def test_the_gguf_file_says_that_it_is_a_demonstration(model: Any) -> None:
    """Name and description keep anyone from taking it for an assistant, and the template is the one trained on."""
    assert "demonstration" in model.metadata["general.name"]
    assert "not an assistant" in model.metadata["general.description"]
    assert model.metadata["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert model.metadata["tokenizer.ggml.pre"] == "qwen2"
    assert model.metadata["qwen2.context_length"] == "4096"


@pytest.mark.parametrize("system", [None, "You are a helpful assistant.", "You work for a bank. Be polite."])
@pytest.mark.parametrize(
    ("prompt", "facts"),
    [
        ("What is Python?", ["programming language"]),
        ("Explain recursion", ["calls itself", "base case"]),
        ("Hello", ["Hello", "PractorFlow demo model"]),
        ("Who are you?", ["PractorFlow demo model", "not an assistant"]),
        ("Summarize the recommendations", ["document"]),
        ("What is the capital of Ruritania?", ["do not know"]),
    ],
)
def test_greedy_answers_hold_the_key_facts(
    reply: Callable[..., str], prompt: str, facts: list[str], system: str | None
) -> None:
    """The README's prompts are answered sensibly, with and without a system message."""
    opening = [{"role": "system", "content": system}] if system else []
    text = reply(*opening, {"role": "user", "content": prompt})
    assert all(fact in text for fact in facts), text


def test_a_second_turn_is_answered_in_its_context(reply: Callable[..., str]) -> None:
    """Thanks after an answer are taken as thanks."""
    first = {"role": "user", "content": "What is Python?"}
    answer = {"role": "assistant", "content": reply(first)}
    assert reply(first, answer, {"role": "user", "content": "Thank you"}) == "You are welcome!"


def test_a_told_name_is_remembered(reply: Callable[..., str]) -> None:
    """What was said two turns ago is copied from the conversation, not known by heart."""
    told = {"role": "user", "content": "My name is Quentin."}
    answer = reply(told)
    assert "Quentin" in answer
    asked = {"role": "user", "content": "What is my name?"}
    assert reply(told, {"role": "assistant", "content": answer}, asked) == "Your name is Quentin."


def test_the_readmes_tool_is_called_with_the_customer_that_was_named(reply: Callable[..., str]) -> None:
    """The model fills the README's tool by itself, without constraint."""
    schema = {
        "type": "object",
        "properties": {"customer_id": {"type": "string", "description": "Customer ID"}},
        "required": ["customer_id"],
    }
    described = "Retrieve customer information from internal database"
    tool = {
        "type": "function",
        "function": {"name": "get_customer_data", "description": described, "parameters": schema},
    }
    text = reply({"role": "user", "content": "What's the status of customer ABC123?"}, tools=(tool,))
    assert called(text) == [("get_customer_data", {"customer_id": "ABC123"})]


def test_small_talk_is_answered_and_calls_nothing(reply: Callable[..., str]) -> None:
    """On samples of another seed, answers are those of the table, and functions that are offered stay uncalled."""

    def answer(sample: Sample) -> str:
        return reply(*sample.prompt, tools=sample.tools)

    shares = evaluate(answer, seed=2000, count=8, figures=("conversation", "no_needless_call", "no_call_answer"))
    assert min(shares.values()) > 0.8, shares


def test_tools_are_chosen_and_passages_are_read(reply: Callable[..., str]) -> None:
    """On samples of another seed, most calls are exact, and most facts are found among five passages."""

    def answer(sample: Sample) -> str:
        return reply(*sample.prompt, tools=sample.tools)

    shares = evaluate(answer, seed=2000, count=10, figures=("exact_arguments", "five_passages"))
    assert min(shares.values()) > 0.6, shares


def test_both_forms_cut_text_into_the_same_tokens(model: Any) -> None:
    """Token ids of the GGUF file and of the Hugging Face folder agree, and turn back into the text.

    Composed text only: transformers composes accents (NFC) for this family, llama.cpp leaves them as they are.
    """
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(HF_PATH, local_files_only=True)
    samples = [
        sample.rendered()
        for skill in ("tool_answer", "quoted_fact", "key_values")
        for sample in evaluation_samples(4, skill, 10)
    ]
    for text in VARIED_TEXTS + samples:
        ids = tokenizer(text)["input_ids"]
        assert model.tokenize(text.encode(), add_bos=False, special=True) == ids
        assert tokenizer.decode(ids) == text


def test_both_forms_render_what_the_model_was_trained_on() -> None:
    """The folder's own template gives exactly the text of the training data."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(HF_PATH, local_files_only=True)
    for sample in evaluation_samples(4, "tool_answer", 10):
        rendered = tokenizer.apply_chat_template(
            list(sample.prompt), tools=list(sample.tools), add_generation_prompt=True, tokenize=False
        )
        assert rendered == sample.rendered_prompt()


def test_both_forms_give_the_same_greedy_tokens(model: Any) -> None:
    """llama.cpp and transformers continue the same prompts alike."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    network = transformers.AutoModelForCausalLM.from_pretrained(HF_PATH, dtype=torch.float32, local_files_only=True)
    for skill in ("conversation", "tool_call", "tool_answer", "quoted_fact"):
        for sample in evaluation_samples(4, skill, 2):
            tokens = model.tokenize(sample.rendered_prompt().encode(), add_bos=False, special=True)
            model.reset()
            mine = _greedy(model, tokens)
            with torch.inference_mode():
                produced = network.generate(torch.tensor([tokens]), max_new_tokens=80, do_sample=False)[
                    0, len(tokens) :
                ].tolist()
            assert mine == [token for token in produced if token != model.token_eos()]


def _greedy(model: Any, tokens: list[int]) -> list[int]:
    answer: list[int] = []
    for token in model.generate(tokens, temp=0.0, repeat_penalty=1.0):
        if token == model.token_eos() or len(answer) == 80:
            break
        answer.append(token)
    return answer
