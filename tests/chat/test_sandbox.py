"""Chat templates are programs from model files: nothing that one does hangs, fills the memory or leaves a trace."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from llm.chat.meter import Meter, TimeLimitError
from llm.chat.template import ChatTemplate
from llm.exceptions import TemplateError

USER = [{"role": "user", "content": "hello"}]
PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"

ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__.os.popen('touch {marker}').read() }}",
    "{{ joiner.__init__.__globals__.os.system('touch {marker}') }}",
    "{{ namespace.__init__.__globals__['os'].system('touch {marker}') }}",
    "{{ raise_exception.__globals__['__builtins__']['open']('{marker}', 'w') }}",
    "{{ strftime_now.__globals__['__builtins__'].open('{marker}', 'w') }}",
    "{{ range.__self__ }}{{ dict.fromkeys.__func__ }}",
    "{{ ''|attr('__class__')|attr('__mro__') }}",
    "{{ '{0.__class__.__mro__}'.format('')[99] }}",
    "{{ ('{0.__class__}'|format(1)).x.y }}",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    "{{ dict.mro() }}",
    "{{ dict.__subclasses__() }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.system('touch {marker}') }}",
    "{% from 'os' import system %}{{ system('touch {marker}') }}",
    "{% extends '/etc/passwd' %}",
    "{{ messages.clear() }}",
    "{{ messages[0].update({'role': 'system'}) }}",
    "{{ lipsum.__globals__.os.popen('touch {marker}') }}",
    "{{ (messages|map(attribute='__class__')|list)[0].__init__ }}",
    "{{ request.application.__globals__ }}",
    "{{ config.from_pyfile('/etc/passwd') }}",
]

RUNAWAYS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}",
    "{{ ([range(99999)|list] * 99999)|map('sum')|list }}",
    "{% set l = [] %}{% for i in range(99999) %}{% for j in range(99999) %}{{ l.append(i) }}{% endfor %}{% endfor %}",
    "{% for a in range(9999) recursive %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% set x %}{% for i in range(99999) %}{% for j in range(99999) %}{{ '' }}{% endfor %}{% endfor %}{% endset %}",
]

GIANTS = [
    "{{ 'a' * 2000000000 }}",
    "{% set x = 'a' * 2000000000 %}",
    "{{ 2000000000 * 'a' }}",
    "{{ [0] * 2000000000 }}",
    "{{ ('a' * 16000000) ~ ('a' * 16000000) }}",
    "{{ ('a' * 16000000) + ('a' * 16000000) }}",
    "{{ range(999999999)|list }}",
    "{{ range(99999)|list * 99999 }}",
    "{{ 10 ** (10 ** 9) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a'|indent(1000000000) }}",
    "{{ ('a\\n' * 1000000)|indent('b' * 1000000) }}",
    "{{ 'a'|slice(1000000000)|list }}",
    "{{ messages|tojson(indent=1000000000) }}",
    "{{ (5).to_bytes(1000000000, 'big') }}",
    "{{ 1.5|round(1000000000, 'ceil') }}",
    "{{ strftime_now('%9999999999Y') }}",
    "{% set s = 'a' * 1000000 %}{{ range(99999)|join(s) }}",
    "{% set s = 'a' * 1000000 %}{{ s.join(['b'] * 99999) }}",
    "{% set s = 'a' * 1000000 %}{{ s.replace('a', s) }}",
    "{% set s = 'a' * 1000000 %}{% for i in range(99999) %}{{ s }}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{% set x %}{% for i in range(99999) %}{{ s }}{% endfor %}{% endset %}",
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
    "ns.x|tojson }}",
    "{% set ns = namespace(x=['a'], y=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
    "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "{{ messages.append(messages) }}{{ messages }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ [[]]|sum(start=[0] * 99999) }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
    "{{ 1" + " + 1" * 40000 + " }}",
    "x" * (1 << 21),
]


def refuse(source: str, *, time_limit: float) -> float:
    """Seconds of computing until the template was refused; time that other processes took does not count."""
    began = time.process_time()
    with pytest.raises(TemplateError):
        ChatTemplate(source, time_limit=time_limit).render(USER)
    return time.process_time() - began


@pytest.mark.parametrize("source", ESCAPES)
def test_escape_attempts_reach_nothing(source: str, tmp_path: Path) -> None:
    """A template that reaches for Python's insides gets an empty value or is refused; no file appears."""
    marker = tmp_path / "marker"
    try:
        text = ChatTemplate(source.replace("{marker}", str(marker))).render(USER).text
    except TemplateError:
        text = ""
    assert "<class" not in text
    assert "built-in" not in text
    assert "root:" not in text
    assert list(tmp_path.iterdir()) == []
    assert ChatTemplate(PLAIN).render(USER).text == "user: hello\n"


@pytest.mark.parametrize("source", RUNAWAYS)
def test_runaways_end_with_the_time_limit(source: str) -> None:
    """Loops in loops and calls in calls end soon after the limit, at whatever depth they are."""
    assert refuse(source, time_limit=0.1) < 1.5
    assert ChatTemplate(PLAIN).render(USER).text == "user: hello\n"


@pytest.mark.parametrize("source", GIANTS)
def test_giants_are_never_built(source: str) -> None:
    """An operation whose result would be huge is refused before it runs."""
    assert refuse(source, time_limit=10.0) < 8.0
    assert ChatTemplate(PLAIN).render(USER).text == "user: hello\n"


def test_the_usual_time_limit_is_below_two_seconds() -> None:
    """Without any setting, a template that does not end is stopped within two seconds, all trials included."""
    assert refuse(RUNAWAYS[0], time_limit=1.5) < 2.5


def test_a_template_changes_only_its_own_copy() -> None:
    """Lists may be changed in a template, and the caller's stay as they were."""
    source = "{% set _ = messages.append({'role': 'x', 'content': 'y'}) %}{{ messages|length }}"
    template = ChatTemplate(source)
    messages = [dict(USER[0])]
    assert template.render(messages).text == "2"
    assert template.render(messages).text == "2"
    assert messages == USER


def test_many_threads_render_at_once() -> None:
    """One template serves several threads, each with a budget of its own."""
    template = ChatTemplate("{% for i in range(2000) %}{% endfor %}{{ messages[0].content }}")
    results: dict[int, set[str]] = {}

    def render(number: int) -> None:
        messages = [{"role": "user", "content": f"text {number}"}]
        results[number] = {template.render(messages).text for _ in range(10)}

    threads = [threading.Thread(target=render, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: {f"text {number}"} for number in range(8)}


def test_only_computing_counts() -> None:
    """A rendering that others keep from computing for longer than its limit goes on; one that computes so long ends."""
    meter = Meter(0.05)
    threading.Event().wait(0.1)
    meter.tick()
    with pytest.raises(TimeLimitError):
        all(meter.tick() is None for _ in iter(int, 1))
