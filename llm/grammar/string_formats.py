"""What the `format` of a JSON schema string means, as a regular expression.

Invariant: whatever a pattern here accepts is a value that Python and Pydantic accept for that format, so a date is a
day that exists and a duration does not overflow. A pattern may accept less than its RFC (no leap seconds, no IPv4
inside IPv6), never more.
"""

from __future__ import annotations

_YEAR = r"(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_COMMON_DAY = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_DATE = rf"(?:{_YEAR}-{_COMMON_DAY}|{_LEAP_YEAR}-02-29)"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_ZONE = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

# Six digits keep the sum of all parts below the 999999999 days that a timedelta holds.
_COUNT = r"[0-9]{1,6}"
_DURATION_DATE = rf"(?:{_COUNT}Y(?:{_COUNT}M(?:{_COUNT}D)?)?|{_COUNT}M(?:{_COUNT}D)?|{_COUNT}D)"
_DURATION_TIME = rf"T(?:{_COUNT}H(?:{_COUNT}M(?:{_COUNT}S)?)?|{_COUNT}M(?:{_COUNT}S)?|{_COUNT}S)"

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = rf"{_LABEL}(?:\.{_LABEL}){{0,3}}"
_DOMAIN = r"[a-z](?:[a-z0-9]{0,30}[a-z0-9])?(?:\.[a-z](?:[a-z0-9]{0,30}[a-z0-9])?){0,4}"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}"
_EMAIL = rf"{_ATOM}(?:\.{_ATOM}){{0,2}}@(?:[a-z0-9](?:[a-z0-9-]{{0,30}}[a-z0-9])?\.){{1,4}}[a-z]{{2,12}}"

_HEX = r"[0-9a-fA-F]"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}"
_GROUP = rf"{_HEX}{{1,4}}"
_IPV6 = "|".join(
    [rf"(?:{_GROUP}:){{7}}{_GROUP}", rf"(?:{_GROUP}:){{1,7}}:", rf"(?:{_GROUP}:){{1,6}}:{_GROUP}"]
    + [rf"(?:{_GROUP}:){{1,{7 - after}}}(?::{_GROUP}){{1,{after}}}" for after in range(2, 6)]
    + [rf"{_GROUP}:(?::{_GROUP}){{1,6}}", rf":(?::{_GROUP}){{1,7}}", r"::"]
)

_PATH_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_PORT = r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?"
_AFTER_AUTHORITY = rf"(?:/{_PATH_CHARACTER}*)*(?:\?(?:{_PATH_CHARACTER}|[/?])*)?(?:#(?:{_PATH_CHARACTER}|[/?])*)?"


def url_pattern(schemes: tuple[str, ...]) -> str:
    """Pattern of an absolute URL with a host and one of `schemes`."""
    return rf"^(?:{'|'.join(schemes)})://{_DOMAIN}{_PORT}{_AFTER_AUTHORITY}$"


def timestamp_pattern(*, date: bool, zone: bool | None) -> str:
    """Pattern of a time of day, after a date if `date`; `zone` None leaves the zone open."""
    zones = {True: _ZONE, False: "", None: f"(?:{_ZONE})?"}[zone]
    return rf"^{f'{_DATE}T' if date else ''}{_CLOCK}{zones}$"


def _uuid(version: str) -> str:
    return rf"^{_HEX}{{8}}-{_HEX}{{4}}-{version}{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}$"


FORMAT_PATTERNS: dict[str, str] = {
    "date": rf"^{_DATE}$",
    "time": timestamp_pattern(date=False, zone=True),
    "date-time": timestamp_pattern(date=True, zone=True),
    "duration": rf"^P(?:{_DURATION_DATE}(?:{_DURATION_TIME})?|{_DURATION_TIME}|{_COUNT}W)$",
    "uuid": rf"^{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}$",
    **{f"uuid{version}": _uuid(version) for version in "1345678"},
    "email": rf"^{_EMAIL}$",
    "hostname": rf"^{_HOSTNAME}$",
    "ipv4": rf"^{_IPV4}$",
    "ipv6": rf"^(?:{_IPV6})$",
    "ipvanyaddress": rf"^(?:{_IPV4}|{_IPV6})$",
    "uri": (
        rf"^(?:(?:https?|wss?|ftp)://{_DOMAIN}{_PORT}{_AFTER_AUTHORITY}"
        rf"|(?:file|data|mailto|tel|urn|[a-z]{{2,8}}\+[a-z]{{2,8}}):{_PATH_CHARACTER}+(?:/{_PATH_CHARACTER}*)*"
        rf"|file:///{_PATH_CHARACTER}*(?:/{_PATH_CHARACTER}*)*)$"
    ),
    "json-pointer": r"^(?:/(?:[^~/]|~[01])*)*$",
    "base64": r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "byte": r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "base64url": r"^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?$",
}
"""Formats of strings that are honoured, each anchored at both ends."""

FORMATS_WITHOUT_SYNTAX = frozenset({"password", "binary", "path"})
"""Formats that say what a string is for; every string has them."""

INTEGER_FORMATS: dict[str, tuple[int, int]] = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
"""Formats of integers and the bounds that they stand for."""

NUMBER_FORMATS = frozenset({"float", "double"})
"""Formats of numbers that ask for nothing that JSON can express."""
