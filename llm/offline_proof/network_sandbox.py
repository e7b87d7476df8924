"""Runs commands in a network of their own in which every packet goes to a recorder and to nobody else.

A process of its own (`python -m llm.offline_proof.network_sandbox PLAN`): a namespace is for good. It has
one interface, the loopback, and an IPv4 default route over it: whatever a command sends anywhere is accepted, so
that attempts are made and seen, goes round once, and is dropped. IPv6 is answered as unreachable, by a message that
holds the packet. A packet socket sees both.
Names are looked up at an address in that network; daemons outside that would look names up over unix sockets are
covered up. Invariant: what the recorder lost is counted and reported, never ignored.

It needs root, or a kernel that lets users have namespaces; then the commands believe that they are root.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .packets import Packet, read_packet

NAME_SERVER = "192.0.2.53"  # of the addresses that are reserved for documentation

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_SIOCADDRT, _SIOCSIFFLAGS = 0x890B, 0x8914
_IFF_UP, _RTF_UP = 1, 1
_ALL_PROTOCOLS, _OUTGOING = 3, 4
_SOL_PACKET, _STATISTICS, _RECEIVE_BUFFER_FORCED = 263, 6, 33
_LOOKUP_DAEMONS = ("/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket", "/var/run/nscd/socket")
_LATE_SECONDS = 1.0  # for what the kernel still sends after a process has ended


class SandboxError(Exception):
    """The kernel does not let us have a network of our own."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What one command did.

    Attributes:
        output: the file with what it printed.
        returncode: how it ended; negative for a signal.
        seconds: how long it was watched.
        packets: what it sent to others.
        local_packets: how many it sent to this machine itself, which is nobody else's business.
        lost: packets that the recorder could not keep.
    """

    output: str
    returncode: int
    seconds: float
    packets: tuple[Packet, ...]
    local_packets: int
    lost: int


class _Route(ctypes.Structure):
    """struct rtentry"""

    _fields_ = (
        ("pad1", ctypes.c_ulong),
        ("destination", ctypes.c_ubyte * 16),
        ("gateway", ctypes.c_ubyte * 16),
        ("mask", ctypes.c_ubyte * 16),
        ("flags", ctypes.c_ushort),
        ("pad2", ctypes.c_short),
        ("pad3", ctypes.c_ulong),
        ("pad4", ctypes.c_void_p),
        ("metric", ctypes.c_short),
        ("device", ctypes.c_char_p),
        ("mtu", ctypes.c_ulong),
        ("window", ctypes.c_ulong),
        ("round_trip", ctypes.c_ushort),
    )


def enter_network(folder: Path) -> None:
    """Move this process, which must have one thread only, into a network of its own.

    Raises:
        SandboxError: it may not.
    """
    user, group = os.getuid(), os.getgid()
    kinds = _CLONE_NEWNET | _CLONE_NEWNS
    if user == 0:
        _call("unshare", kinds)
    else:
        _call("unshare", kinds | _CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    _look_names_up_inside(folder)
    _open_loopback()


def _look_names_up_inside(folder: Path) -> None:
    for name, text in (
        ("resolv.conf", f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n"),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ):
        (folder / name).write_text(text)
        _cover(folder / name, Path("/etc", name))
    for daemon in _LOOKUP_DAEMONS:
        _cover(Path("/dev/null"), Path(daemon))


def _cover(source: Path, target: Path) -> None:
    if target.exists():
        _call("mount", bytes(source), bytes(target), None, _MS_BIND, None)


def _open_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        _control(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        nowhere = (ctypes.c_ubyte * 16)(*struct.pack("H14x", socket.AF_INET))
        route = _Route(destination=nowhere, gateway=nowhere, mask=nowhere, flags=_RTF_UP, device=b"lo")
        _control(handle, _SIOCADDRT, bytes(route))
    try:
        handle6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError:  # a kernel without IPv6 cannot send any
        return
    with handle6:
        # struct in6_rtmsg: any destination, no source, no gateway, type, lengths, metric, info, flags, interface
        _control(handle6, _SIOCADDRT, struct.pack("48xIHHILIi", 0, 0, 0, 1, 0, _RTF_UP, socket.if_nametoindex("lo")))


def _control(handle: socket.socket, request: int, argument: bytes) -> None:
    try:
        fcntl.ioctl(handle, request, argument)
    except OSError as error:
        raise SandboxError(f"the loopback interface cannot be set up: {error.strerror}") from error


def _call(name: str, *arguments: Any) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise SandboxError(f"{name}: {os.strerror(ctypes.get_errno())}")


class Recorder:
    """Keeps what is sent on the loopback interface of this namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.settimeout(0.2)
        self._packets: list[Packet] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._record, name="packet recorder")
        self._thread.start()

    def taken(self) -> tuple[list[Packet], int]:
        """What was recorded and how much was lost since the last call."""
        packets, self._packets = self._packets, []
        _received, lost = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        return packets, lost

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _record(self) -> None:
        while not self._ended.is_set():
            try:
                data, address = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            if address[2] == _OUTGOING:  # on the loopback each comes back once
                self._packets.append(read_packet(data))


def run_plan(plan: Mapping[str, Any]) -> list[Phase]:
    """Run the plan's commands one after another and tell what each one sent."""
    recorder = Recorder()
    try:
        return [
            _watched(recorder, output, command, environ=plan["environ"], folder=plan["folder"], timeout=plan["timeout"])
            for output, command in plan["commands"]
        ]
    finally:
        recorder.close()


def _watched(
    recorder: Recorder, output: str, command: Sequence[str], *, environ: Mapping[str, str], folder: str, timeout: float
) -> Phase:
    begun = time.monotonic()
    with (
        Path(output).open("wb") as printed,
        subprocess.Popen(command, env=environ, cwd=folder, stdout=printed, start_new_session=True) as process,
    ):
        try:
            returncode = process.wait(timeout)
        except subprocess.TimeoutExpired:
            returncode = -signal.SIGKILL
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # children that it left behind, too
    time.sleep(_LATE_SECONDS)
    packets, lost = recorder.taken()
    sent = tuple(packet for packet in packets if packet.leaves)
    return Phase(output, returncode, time.monotonic() - begun, sent, len(packets) - len(sent), lost)


def main() -> None:
    """Read the plan, enter the network, run it, and write down what was seen."""
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        enter_network(Path(plan["own_folder"]))
        outcome: dict[str, Any] = {"phases": [asdict(phase) for phase in run_plan(plan)]}
    except (SandboxError, OSError) as error:
        outcome = {"error": str(error)}
    Path(plan["outcome"]).write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main()
