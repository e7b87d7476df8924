"""`practorflow chat`: a conversation on the terminal, or one turn for each line of standard input."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from . import exit_codes
from .command import Command, Context
from .model_options import DEMO_NOTE, add_model_options, chosen_model
from .reply import Reply
from .session_options import current_owner, find_session, open_store

if TYPE_CHECKING:
    from ..base.session import SessionInfo

_DESCRIPTION = """\
Talk with the model. Without --keep or --session nothing of it is stored.

  practorflow chat
  practorflow chat --keep                  begin a conversation that lasts
  practorflow chat --session last          go on with the latest one
  printf 'Hello\\nWho are you?\\n' | practorflow chat --json

In the conversation: /new begins another one, /exit or Ctrl-D ends it, /help shows this.
"""
_WORDS = "/new begins another conversation, /exit or Ctrl-D ends, Ctrl-C stops at once."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", action="store_true", help="store the conversation (SESSION_DATABASE_URL)")
    kept.add_argument("--session", metavar="ID", help="go on with a stored conversation; 'last' is the latest")
    parser.add_argument("--title", default="", help="title of a conversation that is kept")
    parser.add_argument("--owner", default=None, help="whose conversation it is; your user name by default")
    parser.add_argument("--instructions", metavar="TEXT", help="what the model should keep to")
    add_model_options(parser)


def _run(options: argparse.Namespace, context: Context) -> int:
    from ..session.conversation import Conversation
    from .assistant import Assistant

    output = context.output
    configuration = context.configuration()
    config = chosen_model(configuration.ModelConfiguration, options)
    owner = options.owner or current_owner()
    with ExitStack() as stack:
        stored = options.keep or options.session
        store = stack.enter_context(open_store(configuration.SessionConfiguration, in_memory=not stored))
        if options.session:
            session: SessionInfo = find_session(store, options.session, owner=owner)
        else:
            session = store.create(owner=owner, title=options.title)
        if config.model_name == "demo":
            output.note(DEMO_NOTE)
        assistant = stack.enter_context(Assistant(config))
        if output.to_person:
            output.note(_WORDS)
        while (line := _next_line(output.to_person)) is not None:
            if line in ("/exit", "/quit"):
                break
            if line == "/help":
                output.note(_WORDS)
            elif line == "/new":
                session = store.create(owner=owner, title=options.title)
                output.note("A new conversation.")
            elif line:
                reply = Reply(output)
                runner = assistant.runner(session=Conversation(store, session))
                last = assistant.stream(runner, reply.show, prompt=line, instructions=options.instructions)
                reply.end(last, **({"session": session.id} if stored else {}))
        if stored:
            output.note(f"Go on with it: practorflow chat --session {session.id}")
    return exit_codes.OK


def _next_line(asks: bool) -> str | None:
    """The next thing that was said, None at the end."""
    if asks and sys.stdin.isatty():
        try:
            return input("> ").strip()
        except EOFError:
            print()
            return None
    line = sys.stdin.readline()
    return line.strip() if line else None


COMMAND = Command("chat", "talk with the model", _DESCRIPTION, _add_arguments, _run)
