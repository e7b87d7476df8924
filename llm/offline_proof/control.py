"""The positive control: tries to send, in native code and by name, so that a watch that sees nothing is found out.

Addresses and names are those reserved for documentation, so nobody is bothered should it run outside. It prints, as
JSON, what became of each attempt: "sent" or why not.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct

ADDRESS = "203.0.113.9"
ADDRESS6 = "2001:db8::9"
NAME = "control.practorflow.example"
PORT = 443


def try_to_send() -> dict[str, str]:
    """Try each way once and say what became of it."""
    return {
        f"TCP to {ADDRESS}": _connect(socket.AF_INET, socket.SOCK_STREAM, _address(ADDRESS)),
        f"UDP to {ADDRESS}": _connect(socket.AF_INET, socket.SOCK_DGRAM, _address(ADDRESS)),
        f"TCP to {ADDRESS6}": _connect(socket.AF_INET6, socket.SOCK_STREAM, _address6(ADDRESS6)),
        f"look-up of {NAME}": _look_up(),
    }


def _address(text: str) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", PORT) + socket.inet_aton(text) + bytes(8)


def _address6(text: str) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, text)
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", PORT, 0) + packed + bytes(4)


def _connect(family: int, kind: int, address: bytes) -> str:
    """By the C library: hooks in Python's socket module do not see this, as they do not see native clients."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.socket(family, kind | socket.SOCK_NONBLOCK, 0)
    if handle < 0:
        return f"no socket: {os.strerror(ctypes.get_errno())}"
    try:
        failed = libc.connect(handle, address, len(address)) != 0 and ctypes.get_errno() not in (0, 115)  # in progress
        if not failed and kind == socket.SOCK_DGRAM:
            failed = libc.send(handle, b"control", 7, 0) != 7
        return f"not sent: {os.strerror(ctypes.get_errno())}" if failed else "sent"
    finally:
        libc.close(handle)


def _look_up() -> str:
    try:
        socket.getaddrinfo(NAME, PORT)
    except OSError as error:
        return f"no answer: {error.strerror}"
    return "answered"


if __name__ == "__main__":
    print(json.dumps(try_to_send()))
