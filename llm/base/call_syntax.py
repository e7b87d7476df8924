"""How a model writes reasoning, reply and tool calls: plain data, shared by parser and constraint.

`llm.chat` derives it from a chat template; `llm.grammar` builds the constraint from it; neither imports the other.
The invariant is that the pieces, concatenated in this order, are what the template itself renders for a call:

    section_open  list_open  CALL call_separator CALL  list_close  section_close

    CALL, by nesting
      json_object, json_list   call_open  {"name": NAME, "arguments": {...}}  call_close
      name_json, channels      call_open  NAME  name_close  ARGUMENTS  call_close
                               with an id of its own: call_open NAME id_separator ID name_close ... or,
                               where id_first, call_open ID id_separator NAME name_close ...
      parameters               call_open  NAME  name_close  PARAMETER PARAMETER ...  call_close
                  PARAMETER    parameter_open  KEY  key_close  VALUE  parameter_close
      python_list              NAME(KEY=VALUE, KEY=VALUE)

A reply is then `reasoning_open REASONING reasoning_close  content_open TEXT content_close  calls  turn_end`, any part
of which may be missing. White space at the edge of a piece is what the template writes; a model may write more or less
of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

Nesting = Literal["json_object", "json_list", "name_json", "parameters", "python_list", "channels"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CallSyntax:
    r"""One model's way to write a reply. An empty text means that the model writes nothing there.

    Attributes:
        native: True where the chat template itself knows tools. False for the generic format, whose description
            has to be put into the prompt.
        nesting: the shape of a call:
            json_object ``{"name": "add", "arguments": {"a": 1}}``,
            json_list ``[{"name": "add", "arguments": {"a": 1}}]``,
            name_json ``add[ARGS]{"a": 1}``,
            parameters ``<function=add>\n<parameter=a>\n1\n</parameter>\n</function>`` (also key and value tags),
            python_list ``[add(a=1)]``,
            channels, as name_json, in messages with headers that address a channel and a recipient.
        section_open: before all calls: ``<|tool_calls_section_begin|>``.
        section_close: after all calls: ``<|tool_calls_section_end|>``.
        list_open: opens the list of json_list and python_list: ``[`` or ``[\n    ``.
        list_close: closes it: ``]`` or ``\n]``.
        call_open: before each call, up to the JSON object or the name: ``<tool_call>\n``, ``<tool_call>\n<function=``.
        call_close: after each call: ``\n</tool_call>``.
        call_separator: between two calls: ``\n``, ``, ``.
        parallel: False where the template refuses or drops a second call.
        name_close: between name and arguments: ``[ARGS]``, ``>\n``. ``{index}`` in it stands for the call's number:
            ``:{index}<|tool_call_argument_begin|>``, and ``{name}`` for the name once more.
        first_index: the number that ``{index}`` has for the first call of a reply.
        name_key: key of the name in a JSON object: ``name``. Empty where the name itself is the only key:
            ``{"add": {"a": 1}}``.
        arguments_key: key of the arguments in a JSON object: ``arguments``, ``parameters``.
        id_key: key of the id in a JSON object: ``id``, ``tool_call_id``. Empty where none is written.
        key_order: all keys of a JSON object in the template's order: ``("tool_call_id", "tool_name", "parameters")``.
        id_separator: text between name and id of name_json: ``[CALL_ID]``. Empty where no id is written.
        id_first: the id stands before the name.
        id_format: what the id is where it is made of name and number: ``functions.{name}:{index}``.
        string_quote: what stands around a string inside ARGUMENTS of name_json: ``"``, or ``<|"|>``.
        quoted_keys: False where keys inside ARGUMENTS stand bare: ``{a:1}``.
        parameter_open: before a key: ``<parameter=``, ``<arg_key>``.
        key_close: between key and value: ``>\n``, ``</arg_key>\n<arg_value>``. ``{type}`` in it stands for the word
            that `type_words` gives: ``" string="{type}">``.
        parameter_close: after a value: ``\n</parameter>\n``. ``{key}`` in it stands for the key: ``</{key}>``.
        type_words: (JSON type, word) for ``{type}``: ``(("string", "true"), ("integer", "false"))``.
        item_key: where objects and lists are written as parameters within the parameter, the key of a list's item:
            ``item``. Empty where they are written as JSON.
        raw_strings: string values stand bare (``<arg_value>Paris</arg_value>``), all others as JSON. False where
            strings are written as JSON too.
        reasoning_open: ``<think>\n``. Empty where the model marks no reasoning.
        reasoning_close: ``\n</think>\n\n``.
        reasoning_prefilled: with the template's own defaults, the prompt already ends in `reasoning_open`, so that the
            reply starts inside the reasoning.
        reasoning_variable: template variable that switches reasoning on and off: ``enable_thinking``.
        content_open: before the reply's text: ``<|START_RESPONSE|>``.
        content_close: after it: ``<|END_RESPONSE|>``.
        prefill: part of the reply's first marker that the prompt has already written: ``>>>``.
        message_open: what opens a further message inside one reply (channels): ``<|start|>assistant``.
        turn_end: what the template writes after a finished reply: ``<|im_end|>``.
        override: name of the override file that had a hand in this; empty where all was derived.
    """

    native: bool = True
    nesting: Nesting = "json_object"

    section_open: str = ""
    section_close: str = ""
    list_open: str = ""
    list_close: str = ""
    call_open: str = ""
    call_close: str = ""
    call_separator: str = ""
    parallel: bool = True

    name_close: str = ""
    first_index: int = 0
    name_key: str = "name"
    arguments_key: str = "arguments"
    id_key: str = ""
    key_order: tuple[str, ...] = ("name", "arguments")
    id_separator: str = ""
    id_first: bool = False
    id_format: str = ""
    string_quote: str = '"'
    quoted_keys: bool = True

    parameter_open: str = ""
    key_close: str = ""
    parameter_close: str = ""
    type_words: tuple[tuple[str, str], ...] = ()
    item_key: str = ""
    raw_strings: bool = True

    reasoning_open: str = ""
    reasoning_close: str = ""
    reasoning_prefilled: bool = False
    reasoning_variable: str = ""
    content_open: str = ""
    content_close: str = ""
    prefill: str = ""
    message_open: str = ""
    turn_end: str = ""
    override: str = ""

    def reasoning_is_open(self, prompt: str) -> bool:
        """Whether `prompt` ends inside the reasoning, so that the reply starts there."""
        mark = self.reasoning_open.strip()
        if not mark:
            return False
        opened, closed = prompt.rfind(mark), prompt.rfind(self.reasoning_close.strip())
        return opened > closed and not prompt[opened + len(mark) :].strip()

    def __repr__(self) -> str:
        changed = (f for f in fields(self) if f.name == "nesting" or getattr(self, f.name) != f.default)
        return f"CallSyntax({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in changed)})"
