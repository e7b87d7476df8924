"""Formats of strings: what a model without sense writes under one is a value that Pydantic accepts."""

from __future__ import annotations

import datetime
import ipaddress
import json
import uuid
from typing import Any

import pytest
from pydantic import AnyUrl, AwareDatetime, TypeAdapter
from pydantic.types import UUID1, UUID3, UUID4, UUID5, UUID6, UUID7, UUID8, Base64Bytes, Base64UrlBytes

from llm.grammar.json_schema import checked_schema, json_rule
from llm.grammar.string_formats import FORMAT_PATTERNS, FORMATS_WITHOUT_SYNTAX

TYPES: dict[str, Any] = {
    "date": datetime.date,
    "time": datetime.time,
    "date-time": AwareDatetime,
    "duration": datetime.timedelta,
    "uuid": uuid.UUID,
    "uuid1": UUID1,
    "uuid3": UUID3,
    "uuid4": UUID4,
    "uuid5": UUID5,
    "uuid6": UUID6,
    "uuid7": UUID7,
    "uuid8": UUID8,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "ipvanyaddress": ipaddress.IPv4Address | ipaddress.IPv6Address,
    "uri": AnyUrl,
    "base64": Base64Bytes,
    "byte": Base64Bytes,
    "base64url": Base64UrlBytes,
}
WITHOUT_TYPE = {"email", "hostname", "json-pointer"}

SAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "date": (["2000-02-29", "2024-12-31"], ["1900-02-29", "2024-13-01", "24-01-01"]),
    "time": (["23:59:59Z", "00:00:00.123456+05:30"], ["24:00:00Z", "23:59:60Z", "12:00"]),
    "date-time": (["2024-02-29T12:00:00Z"], ["2024-02-29", "2024-02-30T12:00:00Z"]),
    "duration": (["P1Y", "PT1H30M", "P3W"], ["P", "1h"]),
    "email": (["a.b+c@example.org"], ["a@b", "a b@example.org", "@example.org"]),
    "hostname": (["example.org", "a", "x-1.y"], ["-a", "a_b", "a..b"]),
    "ipv4": (["0.0.0.0", "255.255.255.255"], ["256.1.1.1", "1.1.1"]),
    "ipv6": (["::", "::1", "fe80::1", "1:2:3:4:5:6:7:8"], [":::", "1::2::3", "12345::"]),
    "uri": (
        ["https://example.org:8080/a?b=c#d", "mailto:a@b.org", "urn:isbn:123", "file:///tmp/x"],
        ["x", "http://", "http:// a"],
    ),
    "json-pointer": (["", "/a/b~1c"], ["a", "/~2"]),
}


def grammar_of(name: str) -> str:
    return "start: " + json_rule(checked_schema({"type": "string", "format": name}))


def test_every_format_is_tried() -> None:
    """Each format has a type or samples here."""
    assert set(FORMAT_PATTERNS) == set(TYPES) | WITHOUT_TYPE


@pytest.mark.parametrize("name", sorted(TYPES))
def test_what_is_written_validates(name: str, bench: Any) -> None:
    """Thirty values written under the format are values of the Python type."""
    adapter, grammar = TypeAdapter(TYPES[name]), grammar_of(name)
    for seed in range(30):
        adapter.validate_json(bench.walk(grammar, seed=seed))


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_samples(name: str, bench: Any) -> None:
    """Usual values are accepted and near misses are not."""
    valid, invalid = SAMPLES[name]
    for text in valid:
        assert bench.accepts(grammar_of(name), json.dumps(text)), text
    for text in invalid:
        assert not bench.accepts(grammar_of(name), json.dumps(text)), text


@pytest.mark.parametrize("name", sorted(FORMATS_WITHOUT_SYNTAX))
def test_formats_that_any_string_has(name: str, bench: Any) -> None:
    """Some formats say what a string is for and nothing about its letters."""
    assert bench.accepts(grammar_of(name), '"anything at all"')
