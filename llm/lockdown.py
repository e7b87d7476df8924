"""Takes the network away from a process, for good: no socket but those of this machine's own file system.

The kernel enforces it (seccomp, Linux on x86-64 and aarch64), so it holds for native code, threads that run already
and child processes; no privilege is needed and there is no way back. Whatever asks for another socket gets EPERM.
Invariant: what is refused is decided by `filter_program`, which is data and can be read by somebody else.

    from llm.lockdown import lock_down
    lock_down()                                # this process, its threads and its children

    python -m llm.lockdown python worker.py    # a worker

It does not close what is open: a process that has internet sockets already is refused. Unix sockets stay usable, and
with them the services behind them: a resolver daemon (systemd-resolved, nscd) still looks names up for whoever asks.
A process that runs as root has other ways out; do not run as root.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .exceptions import PrivacyError

__all__ = ["can_lock_down", "is_locked_down", "lock_down"]

AF_UNIX = 1
EPERM = 1
_X32_CALLS = 0x40000000  # a second set of numbers for the same calls, on x86-64 only

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_ALL_THREADS = 1

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF instructions
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | EPERM
_CALL, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian


@dataclass(frozen=True, slots=True)
class Machine:
    """Numbers that the kernel gives to calls on one kind of processor.

    Attributes:
        audit_architecture: what the kernel calls it; calls by the rules of another one are refused altogether.
        seccomp: the call that installs a filter.
        socket_calls: socket and socketpair, which may only make unix sockets.
        refused: io_uring (sends without further calls), and ways to use the sockets of another process.
    """

    audit_architecture: int
    seccomp: int
    socket_calls: tuple[int, ...]
    refused: tuple[int, ...]


_IO_URING = (425, 426, 427)
_PIDFD_GETFD = 438
MACHINES = {
    "x86_64": Machine(0xC000003E, 317, (41, 53), (*_IO_URING, _PIDFD_GETFD, 101, 311)),  # ptrace, process_vm_writev
    "aarch64": Machine(0xC00000B7, 277, (198, 199), (*_IO_URING, _PIDFD_GETFD, 117, 271)),
}


def filter_program(machine: Machine) -> bytes:
    """The filter as BPF: struct sock_filter after struct sock_filter."""
    numbers = machine.socket_calls + machine.refused
    refuse = 4 + len(numbers) + 3  # where the last but one instruction stands
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, refuse - 2, machine.audit_architecture),
        (_LOAD, 0, 0, _CALL),
        (_AT_LEAST, refuse - 4, 0, _X32_CALLS),
    ]
    for number in numbers:
        check = 4 + len(numbers) + 1
        target = check if number in machine.socket_calls else refuse
        program.append((_EQUAL, target - len(program) - 1, 0, number))
    program += [
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, AF_UNIX),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def can_lock_down() -> bool:
    """Whether this system and processor know how."""
    return sys.platform == "linux" and sys.byteorder == "little" and platform.machine() in MACHINES


def lock_down(*, allow_open_sockets: bool = False) -> None:
    """Refuse every socket but unix ones, to all threads of this process and to its children, for good.

    Args:
        allow_open_sockets: internet sockets that are open now may stay, such as that on which a server listens.

    Raises:
        PrivacyError: this system cannot, or such sockets are open. Nothing has changed then.
    """
    if not can_lock_down():
        raise PrivacyError(
            f"Lockdown needs Linux on {' or '.join(MACHINES)}; this is {sys.platform} on {platform.machine()}. Take "
            "the network away from outside, for example by a container without one."
        )
    opened = open_internet_sockets()
    if opened and not allow_open_sockets:
        raise PrivacyError(
            f"{len(opened)} internet sockets are open (descriptors {', '.join(map(str, opened))}) and would stay "
            "usable. Lock down before they are opened, or pass allow_open_sockets=True."
        )
    machine = MACHINES[platform.machine()]
    instructions = filter_program(machine)
    program = _Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise _refused(ctypes.get_errno())
    outcome = libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program))
    if outcome != 0:
        # A positive number is a thread that has a filter of its own which does not descend from this one's.
        raise _refused(ctypes.get_errno() if outcome < 0 else 0)


def is_locked_down() -> bool:
    """Whether an internet socket is refused now."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except PermissionError:
        return True
    return False


def open_internet_sockets() -> list[int]:
    """Descriptors of this process that are sockets of another family than unix, or io_uring rings."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            if "io_uring" in target or (target.startswith("socket:") and _family(int(name)) != socket.AF_UNIX):
                found.append(int(name))
        except OSError:  # closed meanwhile, as the descriptor of this very listing is
            continue
    return sorted(found)


def locked_command(command: Sequence[str]) -> list[str]:
    """The command that runs `command` locked down; it must be able to import `llm`."""
    return [sys.executable, "-m", "llm.lockdown", *command]


def _family(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        return duplicate.family


def _refused(errno: int) -> PrivacyError:
    reason = os.strerror(errno) if errno else "a thread has a filter of its own"
    return PrivacyError(f"The kernel refuses the lockdown filter: {reason}. Is seccomp switched off here?")


def main() -> None:
    """Lock this process down and become the command given as arguments."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m llm.lockdown COMMAND [ARGUMENT ...]")
    lock_down()
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]!r} cannot be run: {error.strerror}.")


if __name__ == "__main__":
    main()
