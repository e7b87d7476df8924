"""`practorflow chat`: a conversation on the terminal, or one turn for each line of standard input."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..exceptions import RequestError
from . import exit_codes
from .command import Command, Context
from .knowledge_options import add_document_options, chosen_documents
from .model_options import DEMO_NOTE, add_model_options, chosen_model
from .reply import Reply
from .session_options import current_owner, find_session, open_store
from .standard_input import read_line

if TYPE_CHECKING:
    from ..base.llm_runner import LLMRunner
    from ..base.session import SessionInfo

_DESCRIPTION = """\
Talk with the model. Without --keep or --session nothing of it is stored.

  practorflow chat
  practorflow chat --keep                  begin a conversation that lasts
  practorflow chat --session last          go on with the latest one, and with its documents
  practorflow chat --add contract.pdf      about this document
  practorflow chat --documents             about all documents of the store
  printf 'Hello\\nWho are you?\\n' | practorflow chat --json

In the conversation: /new begins another one, /exit or Ctrl-D ends it, /help shows this.
"""
_WORDS = "/new begins another conversation, /exit or Ctrl-D ends, Ctrl-C stops at once."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", action="store_true", help="store the conversation (SESSION_DATABASE_URL)")
    kept.add_argument(
        "--session", metavar="ID", help="go on with a stored conversation, 'last' being the latest (none)"
    )
    parser.add_argument("--title", metavar="TEXT", help="title of the conversation that --keep begins (none)")
    parser.add_argument("--owner", default=None, metavar="NAME", help="whose conversation it is (your user name)")
    parser.add_argument("--instructions", metavar="TEXT", help="what the model should keep to (nothing)")
    add_document_options(parser)
    add_model_options(parser)


def _run(options: argparse.Namespace, context: Context) -> int:
    from ..session.conversation import Conversation
    from .assistant import Assistant

    if options.title is not None and not options.keep:
        raise RequestError("--title goes with --keep: without it nothing is begun that could have a title.")
    output = context.output
    configuration = context.configuration()
    config = chosen_model(configuration.ModelConfiguration, options)
    owner = current_owner() if options.owner is None else options.owner
    title = options.title or ""
    with ExitStack() as stack:
        stored = bool(options.keep or options.session)
        sessions = stack.enter_context(open_store(configuration.SessionConfiguration, in_memory=not stored))
        session: SessionInfo | None = None
        if options.session:
            session = find_session(sessions, options.session, owner=owner)
        documents = stack.enter_context(
            chosen_documents(
                options,
                configuration.KnowledgeChromaConfiguration,
                remembered=None if session is None else session.document_scope,
            )
        )
        if config.model_name == "demo":
            output.note(DEMO_NOTE)
        assistant = stack.enter_context(Assistant(config))

        def runner_for(session: SessionInfo) -> LLMRunner:
            conversation = Conversation(sessions, session)
            if documents is None:
                return assistant.runner(session=conversation)
            runner = assistant.runner(knowledge_store=documents.store, session=conversation)
            runner.set_document_scope(documents.scope)
            return runner

        session = session or sessions.create(owner=owner, title=title)
        runner = runner_for(session)
        if output.to_person:
            output.note(_WORDS)
        while (line := _next_line(output.to_person)) is not None:
            if line in ("/exit", "/quit"):
                break
            if line == "/help":
                output.note(_WORDS)
            elif line == "/new":
                session = sessions.create(owner=owner, title=title)
                runner = runner_for(session)
                output.note("A new conversation.")
            elif line:
                if documents is not None:
                    documents.look_for(line, runner)
                reply = Reply(output)
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
    return read_line()


COMMAND = Command("chat", "talk with the model", _DESCRIPTION, _add_arguments, _run)
