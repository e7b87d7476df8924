"""Run a chat template, which is a program that came with a model file, within limits.

Jinja's sandbox keeps a template away from Python's insides. It does not bound time or memory: two nested loops over
99,999 numbers or ``'a' * 2000000000`` stop the process. Invariant: a rendering ends within its time limit, makes no
text or list longer than `meter.MAX_SIZE`, and has no effect but its text.

How: whatever can repeat or grow asks the `Meter` of the rendering first. The parsed template is rewritten so that each
loop asks at each step; calls, filters, tests and operators ask in the sandbox's own hooks. An exception injected by a
watchdog thread would arrive at any instruction, even after the rendering, and never inside one long operation; a trace
function makes rendering several times slower and takes the place of a debugger; a child process is not to be had in
every program that imports a library.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from . import meter
from .meter import METER, LimitError, Meter

_MAX_SOURCE = 1 << 20
_FILENAME = "<chat template>"
# Those of Jinja's filters that chat templates use, or may, and whose cost is bounded by what they are given.
_FILTERS = """
    abs batch capitalize center count d default dictsort e escape first float format groupby indent int items join last
    length list lower map max min reject rejectattr replace reverse round safe select selectattr slice sort string sum
    title tojson trim truncate unique upper wordcount wordwrap
"""
# A template is given copies, so it may change lists; some do.
_LIST_CHANGES = frozenset({"append", "pop"})


class TemplateRefusal(Exception):
    """The template called raise_exception; the message is its own."""


class SandboxedTemplate:
    """A compiled template. Rendering is pure and may happen in several threads at once.

    Args:
        source: the template's text.
        seconds: wall-clock time that one rendering may take.

    Attributes:
        variables: names that the template reads and does not set.

    Raises:
        LimitError: the source is too long or too deeply nested.
        jinja2.TemplateError: it is not a template.
    """

    def __init__(self, source: str, *, seconds: float) -> None:
        if len(source) > _MAX_SOURCE:
            raise LimitError(f"it is longer than {_MAX_SOURCE} characters")
        self._seconds = seconds
        try:
            tree = _ENVIRONMENT.parse(source)
            self.variables = frozenset(meta.find_undeclared_variables(tree))
            code = _ENVIRONMENT.compile(_Metering().visit(tree), filename=_FILENAME)
        except (RecursionError, MemoryError, SyntaxError) as exc:
            raise LimitError("it is nested too deeply") from exc
        self._template = jinja2.Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.globals)

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text that the template makes of `variables`, which it may change: give it copies.

        Raises:
            TemplateRefusal: the template refused, in its own words.
            LimitError: it ran into a limit.
            Exception: anything else that can go wrong in a program that nobody has checked.
        """
        token = METER.set(Meter(self._seconds))
        try:
            context = self._template.new_context(dict(variables))
            return meter.concat(meter.loop(self._template.root_render_func(context)))
        except (RecursionError, MemoryError) as exc:
            raise LimitError("it calls itself without end, or holds too much") from exc
        finally:
            METER.reset(token)

    def line_of(self, error: BaseException) -> int | None:
        """The template's line in which `error` was raised."""
        line, traceback = None, error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == _FILENAME:
                line = self._template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return line


class _Metering(NodeTransformer):
    """Rewrites a parsed template so that its loops, joins and comparisons ask the meter."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "*loop")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "*concat")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, "*compared")
        return node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    # A template cannot write a name with an asterisk, so it can neither call these filters nor leave them out.
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Generation(Extension):
    """``{% generation %}`` marks what an assistant wrote, for training; rendering passes it through."""

    tags = {"generation"}  # noqa: RUF012  (declared so by Jinja)

    def parse(self, parser: jinja2.parser.Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _TemplateNamespace(Namespace):
    """A namespace without underscore names, which could reach Python's insides, and without a text of its own."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, attributes = args[0], dict(*args[1:], **kwargs)
        Namespace.__init__(self)
        for name, value in attributes.items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError("a namespace takes no name that begins with an underscore")
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<namespace>"


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, asking the meter wherever a template can repeat or grow something."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})
    concat = staticmethod(meter.concat)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # or constants would be computed while compiling, outside any meter
            finalize=_finalize,
            extensions=[_Generation, loopcontrols],
        )
        filters = {**self.filters, "tojson": _tojson}
        self.filters = {name: _metered_filter(name, filters[name]) for name in _FILTERS.split()}
        self.filters.update({"*loop": meter.loop, "*concat": meter.concat, "*compared": meter.compared})
        self.tests.update({name: _metered_test(test) for name, test in self.tests.items()})
        self.globals = {
            "range": self.globals["range"],
            "dict": dict,
            "namespace": _TemplateNamespace,
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
        }

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, list) and attr in _LIST_CHANGES:
            return True
        return not isinstance(obj, type) and super().is_safe_attribute(obj, attr, value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        METER.get().tick()
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, (str, bytes, int, float)):
            meter.check_method(owner, __obj.__name__, args)
        result = super().call(__context, __obj, *args, **kwargs)
        meter.sized(owner)
        return meter.sized(result)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        meter.check_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        fill_in = super().wrap_str_format(value)
        if fill_in is None:
            return None

        @functools.wraps(value)
        def checked(*args: Any, **kwargs: Any) -> str:
            meter.check_format(value.__self__, [*args, *kwargs.values()])
            return fill_in(*args, **kwargs)

        return checked


@jinja2.pass_context  # which also keeps the compiler from writing out constants, outside any meter
def _finalize(_context: Context, value: object) -> str:
    text = meter.text(value)
    METER.get().write(len(text))
    return text


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as models were trained on it, which is not escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: object = "") -> NoReturn:
    raise TemplateRefusal(meter.text(message))


def _strftime_now(form: str) -> str:
    if len(form) > 100 or re.search(r"\d", form):
        raise LimitError("it asks for a date in an unreasonable form")
    return datetime.datetime.now().strftime(form)


def _metered_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, asking the meter before and after. It is still given the context if it asks for it."""
    offset = 1 if hasattr(function, "jinja_pass_arg") else 0
    check = meter.FILTER_CHECKS.get(name)

    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        METER.get().tick()
        value = args[offset]
        if isinstance(value, Iterator):
            value = list(meter.loop(value))
        if check is not None:
            check(value, [*args[offset + 1 :], *kwargs.values()])
        return meter.sized(function(*args[:offset], value, *args[offset + 1 :], **kwargs))

    return metered


def _metered_test(function: Any) -> Callable[..., Any]:
    offset = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        METER.get().tick()
        meter.compared(args[offset])
        return function(*args, **kwargs)

    return metered


_ENVIRONMENT = _Environment()
