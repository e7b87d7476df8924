"""`practorflow sessions`: what is stored of earlier conversations."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import RequestError
from . import exit_codes
from .command import Actions, Command, Context, add_action, add_actions
from .session_options import current_owner, find_session, open_store

if TYPE_CHECKING:
    from ..base.session import SessionInfo
    from ..base.session_store import SessionStore

_DESCRIPTION = """\
List, show, export and delete the conversations that `chat --keep` has stored. ID may be the beginning of one, from four
characters on, or 'last'.

  practorflow sessions list
  practorflow sessions show last
  practorflow sessions export 3f2a --output conversation.json
"""
_OWNER_HELP = "whose sessions (your user name)"
_ID_HELP = "an id, its first characters, or 'last'"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--owner", metavar="NAME", default=None, help=_OWNER_HELP)
    actions = add_actions(parser)
    listing = _action(actions, "list", "newest first", _list)
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="the most sessions (50)")
    listing.add_argument("--search", metavar="WORDS", help="only those with a message that has all these words (all)")
    _action(actions, "show", "what was said", _show).add_argument("id", metavar="ID", help=_ID_HELP)
    export = _action(actions, "export", "as JSON, to take away", _export)
    export.add_argument("id", metavar="ID", help=_ID_HELP)
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="a new file (standard output)")
    _action(actions, "delete", "remove for good", _delete).add_argument("id", metavar="ID", help=_ID_HELP)


def _action(actions: Actions, name: str, text: str, action: Callable[..., None]) -> argparse.ArgumentParser:
    """One of the words, which takes --owner as well as `sessions` itself does."""
    parser = add_action(actions, name, text, action)
    parser.add_argument("--owner", metavar="NAME", default=argparse.SUPPRESS, help=_OWNER_HELP)
    return parser


def _run(options: argparse.Namespace, context: Context) -> int:
    owner = current_owner() if options.owner is None else options.owner
    with open_store(context.configuration().SessionConfiguration) as store:
        options.action(store, owner, options, context)
    return exit_codes.OK


def _list(store: SessionStore, owner: str, options: argparse.Namespace, context: Context) -> None:
    listed = store.list_sessions(owner=owner, limit=options.limit)
    sessions, further = list(listed.sessions), listed.next_page is not None
    if options.search and sessions:
        found = {match.session_id for match in store.search(options.search, owner=owner, limit=1000)}
        matching = [info for info in _all(store, owner) if info.id in found]
        sessions, further = matching[: options.limit], len(matching) > options.limit
        if not sessions:
            context.output.note(f"No session of {owner!r} has a message with all of these words.")
            return
    if further:
        context.output.note(f"There are more than these {options.limit}; --limit N shows more.")
    if context.output.as_json:
        for info in sessions:
            context.output.document(_facts(info))
        return
    rows = [(info.id[:12], f"{info.updated_at:%Y-%m-%d %H:%M}", info.message_count, info.title) for info in sessions]
    if rows:
        context.output.table(("ID", "UPDATED (UTC)", "MESSAGES", "TITLE"), rows)
    else:
        context.output.note(f"{owner!r} has no stored sessions. `practorflow chat --keep` begins one.")


def _all(store: SessionStore, owner: str) -> list[SessionInfo]:
    sessions: list[SessionInfo] = []
    page = None
    while True:
        found = store.list_sessions(owner=owner, limit=1000, page=page)
        sessions.extend(found.sessions)
        page = found.next_page
        if page is None:
            return sessions


def _show(store: SessionStore, owner: str, options: argparse.Namespace, context: Context) -> None:
    session = store.get(find_session(store, options.id, owner=owner).id, owner=owner)
    if context.output.as_json:
        context.output.document({**_facts(session), "messages": [dict(entry.message) for entry in session.messages]})
        return
    for entry in session.messages:
        message: Any = entry.message
        context.output.line(
            f"{message['role']}: {message['content']}" + (" [interrupted]" if entry.interrupted else "")
        )
        for call in message.get("tool_calls", ()):
            context.output.line(f"  calls {call['tool_name']}({json.dumps(call['args'], ensure_ascii=False)})")


def _export(store: SessionStore, owner: str, options: argparse.Namespace, context: Context) -> None:
    document = store.export_session(find_session(store, options.id, owner=owner).id, owner=owner)
    if options.output is None:
        context.output.document(document)
        return
    _write_new(options.output, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    context.output.note(f"Written to {str(options.output)!r}.")


def _write_new(path: Path, text: str) -> None:
    """A file of its own, whole or not at all.

    Raises:
        RequestError: something is there already, or no file can be made there.
        OSError: it cannot be written to its end.
    """
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise RequestError(f"{str(path)!r} exists already and is not written over. Name a new file.") from None
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be written: {error.strerror}. Name another file.") from error
    try:
        with file:
            file.write(text)
    except BaseException as error:
        path.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _delete(store: SessionStore, owner: str, options: argparse.Namespace, context: Context) -> None:
    session = find_session(store, options.id, owner=owner)
    store.delete(session.id, owner=owner)
    if context.output.as_json:
        context.output.document({"deleted": session.id})
    else:
        context.output.note(f"Session {session.id!r} is deleted.")


def _facts(info: SessionInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "owner": info.owner,
        "title": info.title,
        "messages": info.message_count,
        "tokens": info.tokens,
        "created_at": info.created_at.isoformat(),
        "updated_at": info.updated_at.isoformat(),
        "document_scope": None if info.document_scope is None else sorted(info.document_scope),
    }


COMMAND = Command("sessions", "list, show, export, delete stored conversations", _DESCRIPTION, _add_arguments, _run)
