"""Docstrings in the styles that people write: the same description, the same parameters."""

from __future__ import annotations

import pytest

from llm.tools.docstring import read_docstring

GOOGLE = """The weather in a city.

    Only what is
    measured.

    Args:
        city (str): Name of the city,
            as people say it.
        unit: Celsius or Fahrenheit: whichever.
        **options (dict[str, int]): Whatever else.

    Returns:
        The temperature.

    Raises:
        ValueError: no such city.
    """

NUMPY = """
    The weather in a city.

    Only what is
    measured.

    Parameters
    ----------
    city : str
        Name of the city,
        as people say it.
    unit : {"celsius", "fahrenheit"}, optional
        Celsius or Fahrenheit: whichever.
    **options
        Whatever else.

    Returns
    -------
    float
        The temperature.
    """

SPHINX = """The weather in a city.

    Only what is
    measured.

    :param city: Name of the city,
        as people say it.
    :type city: str
    :param str unit: Celsius or Fahrenheit: whichever.
    :param options: Whatever else.
    :returns: The temperature.
    :raises ValueError: no such city.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_each_style_says_the_same(text: str) -> None:
    """Description without the part for programmers; line breaks inside a description are blanks."""
    read = read_docstring(text)
    assert read.description == "The weather in a city.\n\nOnly what is measured."
    assert read.parameters == {
        "city": "Name of the city, as people say it.",
        "unit": "Celsius or Fahrenheit: whichever.",
        "options": "Whatever else.",
    }


@pytest.mark.parametrize(
    ("text", "description", "parameters"),
    [
        (None, "", {}),
        ("", "", {}),
        ("One line.", "One line.", {}),
        ("Args: are not a section here.", "Args: are not a section here.", {}),
        ("Note this: it is text.\n\nArgs:\n    a: First.", "Note this: it is text.", {"a": "First."}),
        (
            "Do.\n\nArgs:\n    a: First.\n\n    b: Second.\n\nAnd more.",
            "Do.\n\nAnd more.",
            {"a": "First.", "b": "Second."},
        ),
        ("Do.\n\nArgs:\n    a:\n        Below.", "Do.", {"a": "Below."}),
        ("Do.\n\nArgs:\n    a (list[tuple(int)]): Typed.", "Do.", {"a": "Typed."}),
        ("Do.\n\nExamples:\n    >>> do(1)\n\nArgs:\n    a: First.", "Do.", {"a": "First."}),
        ("Do.\n\nArguments:\n    without a colon", "Do.", {}),
    ],
)
def test_what_else_people_write(text: str | None, description: str, parameters: dict[str, str]) -> None:
    """Missing parts, sections in another order, and text that only looks like a section."""
    assert read_docstring(text) == (description, parameters)
