"""A process that is locked down opens no socket but unix ones, whoever in it tries, and works on."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import llm
from llm.lockdown import AF_UNIX, MACHINES, Machine, can_lock_down, filter_program, locked_command

ALLOW, REFUSE = 0x7FFF0000, 0x00050001
needs_seccomp = pytest.mark.skipif(not can_lock_down(), reason="seccomp is for Linux")


def outcome(program: bytes, *, architecture: int, call: int, first_argument: int = 0) -> int:
    """Run a BPF filter as the kernel does."""
    data = struct.pack("<iIQ6Q", call, architecture, 0, first_argument, 0, 0, 0, 0, 0)
    instructions = list(struct.iter_unpack("<HBBI", program))
    accumulator, position = 0, 0
    while True:
        code, jump_true, jump_false, operand = instructions[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == 0x15:
            position += jump_true if accumulator == operand else jump_false
        elif code == 0x35:
            position += jump_true if accumulator >= operand else jump_false
        else:
            assert code == 0x06
            return operand


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_the_filter_decides_about_every_call(machine: Machine) -> None:
    """On each processor: unix sockets and all other calls pass; other sockets, io_uring and foreign calls do not."""
    program = filter_program(machine)
    for call in range(600):
        for family in (0, AF_UNIX, 2, 10, 16, 17, 38, 40):
            allowed = family == AF_UNIX if call in machine.socket_calls else call not in machine.refused
            expected = ALLOW if allowed else REFUSE
            assert (
                outcome(program, architecture=machine.audit_architecture, call=call, first_argument=family) == expected
            )
    for architecture in (0x40000003, 0x40000028, 0):  # 32-bit calls reach sockets by other numbers
        assert outcome(program, architecture=architecture, call=20) == REFUSE
    assert outcome(program, architecture=machine.audit_architecture, call=0x40000000 + 41) == REFUSE  # x32


def test_high_bits_do_not_smuggle_a_family_through() -> None:
    """The kernel reads 32 bits of the argument, and so does the filter."""
    machine = MACHINES["x86_64"]
    program = filter_program(machine)
    arguments = {"architecture": machine.audit_architecture, "call": machine.socket_calls[0]}
    assert outcome(program, **arguments, first_argument=(1 << 32) + 2) == REFUSE
    assert outcome(program, **arguments, first_argument=(7 << 32) + AF_UNIX) == ALLOW


ATTEMPTS = """
import asyncio, ctypes, json, os, socket, subprocess, sys, threading
from llm.lockdown import is_locked_down, lock_down

found = {}
locked = threading.Event()

def attempt(name, work):
    try:
        work()
        found[name] = "worked"
    except OSError as error:
        found[name] = error.strerror
    except Exception as error:
        found[name] = str(error)

def from_a_thread():
    locked.wait()
    attempt("thread from before", lambda: socket.socket(socket.AF_INET))

def native():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def child():
    code = "import socket; socket.socket(socket.AF_INET)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise Exception(done.stderr)

def primp_client():
    import primp
    primp.Client(timeout=5).get("http://203.0.113.9/")

def uvloop_client():
    import uvloop
    async def connect():
        await asyncio.wait_for(asyncio.open_connection("203.0.113.9", 80), 5)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(connect())

def netlink():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)

def io_uring():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(425, 8, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

thread = threading.Thread(target=from_a_thread)
thread.start()
assert not is_locked_down()
lock_down()
locked.set()
thread.join()
attempt("TCP", lambda: socket.socket(socket.AF_INET))
attempt("TCP 6", lambda: socket.socket(socket.AF_INET6))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("name", lambda: socket.getaddrinfo("control.practorflow.example", 443))
for work in (native, child, netlink, io_uring, *([primp_client] if "primp" in sys.argv else []),
             *([uvloop_client] if "uvloop" in sys.argv else [])):
    attempt(work.__name__, work)
left, right = socket.socketpair()
left.send(b"x")
found["unix sockets"] = right.recv(1).decode()
found["is_locked_down"] = is_locked_down()
print(json.dumps(found))
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(llm.__file__).parents[1])}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@needs_seccomp
def test_nobody_in_the_process_gets_a_socket() -> None:
    """Python, C, Rust, another event loop, a child, a thread from before, raw and netlink sockets, io_uring."""
    clients = []
    for name in ("primp", "uvloop"):
        try:
            __import__(name)
        except ImportError:
            continue
        if sys.version_info >= (3, 11) or name == "primp":
            clients.append(name)
    done = run(ATTEMPTS, *clients)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("unix sockets") == "x"
    assert found.pop("is_locked_down") is True
    assert "resolution" in found.pop("name")  # the C library does not say why
    assert len(found) == 10 + len(clients)
    refused = {name: text for name, text in found.items() if "not permitted" in text.lower()}
    assert refused == found


@needs_seccomp
def test_generation_and_sessions_work_locked_down(tmp_path: Path) -> None:
    """A worker without network loads a model, answers, streams, and stores a conversation."""
    code = f"""
import asyncio
from llm import LLMConfig, ModelPool, create_runner
from llm.lockdown import is_locked_down
from llm.session import Conversation, SqlSessionStore
assert is_locked_down()

async def main():
    async with ModelPool() as pool, pool.acquire_context(LLMConfig(model_name="demo", n_ctx=2048)) as handle:
        reply = (await create_runner(handle).generate(prompt="Hello", max_new_tokens=24))["reply"]
        with SqlSessionStore("sqlite:///{tmp_path}/sessions.db") as store:
            session = store.create(owner="me")
            runner = create_runner(handle, session=Conversation(store, session))
            async for chunk in runner.generate_stream(prompt="Hello", max_new_tokens=24):
                last = chunk
            print(bool(reply), last.finished, len(store.get(session.id, owner="me").messages))

asyncio.run(main())
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(llm.__file__).parents[1])}
    command = locked_command([sys.executable, "-c", code])
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True", "2"], done.stderr


@needs_seccomp
def test_what_is_open_is_not_overlooked() -> None:
    """With an internet socket open the lockdown refuses and changes nothing, unless told that it may stay."""
    done = run(
        """
import socket
from llm import PrivacyError
from llm.lockdown import is_locked_down, lock_down, open_internet_sockets
kept = socket.socket()
pair = socket.socketpair()
try:
    lock_down()
except PrivacyError as error:
    print(error)
assert open_internet_sockets() == [kept.fileno()] and not is_locked_down()
lock_down(allow_open_sockets=True)
lock_down(allow_open_sockets=True)
print(is_locked_down())
"""
    )
    assert done.returncode == 0, done.stderr
    assert "1 internet sockets are open" in done.stdout
    assert done.stdout.split()[-1] == "True"


@needs_seccomp
def test_a_command_that_cannot_be_run_is_named() -> None:
    """The wrapper says what it could not become; without a command it says how it is used."""
    environ = {**os.environ, "PYTHONPATH": str(Path(llm.__file__).parents[1])}
    for command, message in ((["/no/such/program"], "'/no/such/program' cannot be run"), ([], "usage: ")):
        done = subprocess.run(locked_command(command), env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert message in done.stderr
