"""What a function's docstring says to a model: what it does, and what each parameter means.

Reads the three common styles (Google, NumPy, Sphinx). Invariant: every line goes to the description, to a parameter, or
belongs to a section that is for programmers (returns, raises, examples); nothing is said twice.
"""

from __future__ import annotations

import inspect
import re
from typing import NamedTuple

_PARAMETERS = frozenset({"args", "arguments", "parameters", "params", "keyword args", "keyword arguments"})
_OTHERS = re.compile(
    "returns?|yields?|raises?|warns|warnings?|examples?|notes?|attributes|references|see also|other parameters|todo"
)
_ENTRY = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?:\((?P<type>[^)]*(?:\([^)]*\)[^)]*)*)\))?\s*:\s*(?P<text>.*)")
_SPHINX = re.compile(r":(?P<field>\w+)(?:\s+(?P<words>[^:]*))?:\s*(?P<text>.*)")


class Docstring(NamedTuple):
    """The description, and the descriptions of parameters by name."""

    description: str
    parameters: dict[str, str]


def read_docstring(text: str | None) -> Docstring:
    """Take a docstring apart.

    An indented line continues the one above it; line breaks inside one description become blanks.
    """
    lines = inspect.cleandoc(text or "").splitlines()
    description: list[str] = []
    parameters: dict[str, list[str]] = {}
    taken: list[str] | None = description  # where the next line goes; None while it is for programmers
    section = ""
    entry_indent: int | None = None
    for number, line in enumerate(lines):
        below = lines[number + 1].strip() if number + 1 < len(lines) else ""
        indent = len(line) - len(line.lstrip())
        if heading := _heading(line, below):
            section, entry_indent = heading, None
            taken = None
        elif indent == 0 and (field := _SPHINX.fullmatch(line)):
            taken = _sphinx_field(field, parameters)
            section = "sphinx"
        elif section in ("google", "numpy") and _is_rule(line):
            continue
        elif section == "numpy" and indent == 0 and line.strip():
            taken = parameters.setdefault(re.split(r"[\s:,]", line.strip().lstrip("*"))[0], [])
        elif section == "google" and line.strip():
            entry_indent = indent if entry_indent is None else entry_indent
            entry = _ENTRY.fullmatch(line.strip()) if indent <= entry_indent else None
            if entry:
                taken = parameters.setdefault(entry["name"], [])
                taken.append(entry["text"])
            elif indent == 0:
                section, taken = "", description
                description.append(line)
            elif taken is not None:
                taken.append(line)
        elif taken is not None:
            taken.append(line)
    return Docstring(_paragraphs(description), {name: _sentence(words) for name, words in parameters.items()})


def _heading(line: str, below: str) -> str:
    """The style of the parameter section that `line` opens, "other" for one that is for programmers, else nothing."""
    if not line.strip() or line[0].isspace():
        return ""
    underlined = _is_rule(below)
    title = line.strip().rstrip(":").lower()
    if not underlined and not line.rstrip().endswith(":"):
        return ""
    if title in _PARAMETERS:
        return "numpy" if underlined else "google"
    return "other" if _OTHERS.fullmatch(title) else ""


def _is_rule(line: str) -> bool:
    return len(line.strip()) >= 3 and set(line.strip()) <= {"-", "="}


def _sphinx_field(field: re.Match[str], parameters: dict[str, list[str]]) -> list[str] | None:
    if field["field"] not in ("param", "parameter", "arg", "argument", "key", "keyword") or not field["words"]:
        return None
    words = parameters.setdefault(field["words"].split()[-1].lstrip("*"), [])
    words.append(field["text"])
    return words


def _sentence(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _paragraphs(lines: list[str]) -> str:
    paragraphs = "\n".join(line.strip() for line in lines).strip().split("\n\n")
    return "\n\n".join(_sentence(paragraph.splitlines()) for paragraph in paragraphs if paragraph.strip())
