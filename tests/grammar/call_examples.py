"""Twenty tools, and the ways in which models write calls."""

from __future__ import annotations

import datetime
import re
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm.base.call_syntax import CallSyntax


class Unit(Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Place(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    label: str | None = None


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key: Literal["name", "size"]
    value: str


class Folder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=8)]
    within: list[Folder] = []


def model(name: str, **fields: Any) -> type[BaseModel]:
    annotations = {key: value if isinstance(value, tuple) else (value, ...) for key, value in fields.items()}
    made: Any = __import__("pydantic").create_model(name, __config__=ConfigDict(extra="forbid"), **annotations)
    return made  # type: ignore[no-any-return]


Text = Annotated[str, Field(max_length=30)]
TOOLS: dict[str, type[BaseModel]] = {
    "now": model("now"),
    "get_time": model("get_time", city=Text),
    "get_time_zone": model("get_time_zone", city=Text, exact=(bool, False)),
    "get_weather": model(
        "get_weather", city=Text, unit=(Unit, Unit.celsius), days=(Annotated[int, Field(ge=1, le=7)], 1)
    ),
    "add": model("add", a=int, b=int),
    "divide": model("divide", a=float, b=Annotated[float, Field(gt=0)]),
    "toggle": model("toggle", enabled=bool),
    "clear": model("clear", value=None),
    "search": model("search", query=Text, filters=(list[Filter], [])),
    "go_to": model("go_to", place=Place),
    "tag": model("tag", tags=Annotated[list[Text], Field(min_length=1, max_length=3)]),
    "rename": model("rename", old=Text, new=Text, force=(bool | None, None)),
    "write": model("write", path=Text, text=str),
    "book": model("book", day=datetime.date, seats=Annotated[int, Field(ge=1, le=9)]),
    "pay": model("pay", cents=Annotated[int, Field(multiple_of=5, ge=0, le=100)], note=(Text | None, None)),
    "move": model("move", by=tuple[int, int]),
    "pick": model("pick", choice=Literal["yes", "no", 'it\'s "maybe"']),
    "tree": model("tree", root=Folder),
    "code": model("code", ticket=Annotated[str, Field(pattern=r"^[A-Z]{2}-[0-9]{3}$")]),
    "many": model("many", **{f"p{index}": (int, 0) for index in range(12)}),
}

DEFINITIONS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": kind.model_json_schema()}}
    for name, kind in TOOLS.items()
]

SYNTAXES: dict[str, CallSyntax] = {
    "json object": CallSyntax(call_open="<tool_call>\n", call_close="\n</tool_call>", call_separator="\n"),
    "bare json object": CallSyntax(arguments_key="parameters", key_order=("name", "parameters"), parallel=False),
    "json list": CallSyntax(
        nesting="json_list",
        section_open="[TOOL_CALLS]",
        list_open="[",
        list_close="]",
        call_separator=", ",
        id_key="id",
        key_order=("name", "arguments", "id"),
    ),
    "json list with other keys": CallSyntax(
        nesting="json_list",
        section_open="<|START_ACTION|>",
        section_close="<|END_ACTION|>",
        list_open="[\n    ",
        list_close="\n]",
        call_separator=",\n    ",
        name_key="tool_name",
        arguments_key="parameters",
        id_key="tool_call_id",
        key_order=("tool_call_id", "tool_name", "parameters"),
        reasoning_open="<|START_THINKING|>",
        reasoning_close="<|END_THINKING|>",
        content_open="<|START_RESPONSE|>",
        content_close="<|END_RESPONSE|>",
    ),
    "name as key": CallSyntax(
        nesting="json_list",
        section_open="<|tools_prefix|>",
        section_close="<|tools_suffix|>",
        list_open="[",
        list_close="]",
        call_separator=", ",
        name_key="",
        arguments_key="",
        key_order=(),
    ),
    "name and json": CallSyntax(
        nesting="name_json",
        section_open="<｜calls▁begin｜>",
        section_close="<｜calls▁end｜>",
        call_open="<｜call▁begin｜>function<｜sep｜>",
        call_close="\n```<｜call▁end｜>",
        call_separator="\n",
        name_close="\n```json\n",
        reasoning_open="<think>\n",
        reasoning_close="</think>",
    ),
    "name with index": CallSyntax(
        nesting="name_json",
        section_open="<|section_begin|>",
        section_close="<|section_end|>",
        call_open="<|call_begin|>functions.",
        call_close="<|call_end|>",
        name_close=":{index}<|argument_begin|>",
        id_format="functions.{name}:{index}",
    ),
    "name with id": CallSyntax(nesting="name_json", call_open="[CALL]", id_separator="[ID]", name_close="[ARGS]"),
    "tokens as quotes": CallSyntax(
        nesting="name_json",
        call_open="<|tool_call>call:",
        call_close="<tool_call|>",
        string_quote='<|"|>',
        quoted_keys=False,
    ),
    "parameters": CallSyntax(
        nesting="parameters",
        call_open="<tool_call>\n<function=",
        call_close="</function>\n</tool_call>",
        call_separator="\n",
        name_close=">\n",
        parameter_open="<parameter=",
        key_close=">\n",
        parameter_close="\n</parameter>\n",
        reasoning_open="<think>\n",
        reasoning_close="\n</think>\n\n",
    ),
    "key and value tags": CallSyntax(
        nesting="parameters",
        call_open="<tool_call>",
        call_close="</tool_call>",
        call_separator="\n",
        name_close="\n",
        parameter_open="<arg_key>",
        key_close="</arg_key>\n<arg_value>",
        parameter_close="</arg_value>\n",
    ),
    "typed parameters": CallSyntax(
        nesting="parameters",
        section_open="<calls>\n",
        section_close="</calls>",
        call_open='<invoke name="',
        call_close="</invoke>\n",
        name_close='">\n',
        parameter_open='<parameter name="',
        key_close='" string="{type}">',
        parameter_close="</parameter>\n",
        type_words=(
            ("string", "true"),
            *((kind, "false") for kind in ("null", "boolean", "integer", "number", "array", "object")),
        ),
    ),
    "nested elements": CallSyntax(
        nesting="parameters",
        call_open='<invoke name="',
        call_close="</invoke>",
        call_separator="\n",
        name_close='">\n',
        parameter_open="<",
        key_close=">",
        parameter_close="</{key}>\n",
        item_key="item",
    ),
    "python list": CallSyntax(
        nesting="python_list",
        section_open="<|tool_call_start|>",
        section_close="<|tool_call_end|>",
        list_open="[",
        list_close="]",
        call_separator=", ",
        key_order=(),
    ),
    "bare python list": CallSyntax(
        nesting="python_list", list_open="[", list_close="]", call_separator=", ", key_order=()
    ),
    "channels": CallSyntax(
        nesting="channels",
        call_open="<|channel|>commentary to=functions.",
        call_close="<|call|>",
        call_separator="<|start|>assistant",
        parallel=False,
        name_close=" <|constrain|>json<|message|>",
        reasoning_open="<|channel|>analysis<|message|>",
        reasoning_close="<|end|>",
        content_open="<|channel|>final<|message|>",
        message_open="<|start|>assistant",
        turn_end="<|return|>",
    ),
    "prefilled": CallSyntax(
        nesting="name_json", call_open=">>>", name_close="\n", content_open=">>>all\n", prefill=">>>"
    ),
}

MARKER = re.compile(
    r"<\|[^<>|]*\|>|<｜[^<>｜]*｜>|<\|\"\|>|\[[A-Z_]+\]|</?(?:tool_call|think|arg_key|arg_value)>|<\|tool_call>|<tool_call\|>"
)


def special_texts(syntax: CallSyntax) -> list[str]:
    """The markers of a syntax that a vocabulary would hold as control tokens."""
    texts = [
        getattr(syntax, name) for name in CallSyntax.__dataclass_fields__ if isinstance(getattr(syntax, name), str)
    ]
    return sorted({found for text in texts for found in MARKER.findall(text)})


def closing_texts(syntax: CallSyntax) -> list[str]:
    """The markers of a syntax that end a piece of free text."""
    closed = (syntax.reasoning_close, syntax.parameter_close, syntax.string_quote, syntax.content_close)
    parameters = [key for kind in (*TOOLS.values(), Place, Filter, Folder) for key in kind.model_fields]
    keys = dict.fromkeys(["item", *parameters])
    marks = [text.strip() for text in closed if len(text.strip()) > 1]
    return list(dict.fromkeys(mark.replace("{key}", key) for mark in marks for key in keys))
