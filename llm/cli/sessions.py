"""`practorflow sessions`: what is stored of earlier conversations."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import exit_codes
from .command import Command, Context, add_action, add_actions
from .session_options import current_owner, find_session, open_store

if TYPE_CHECKING:
    from ..base.session import SessionInfo
    from ..base.session_store import SessionStore

_DESCRIPTION = """\
List, show, export and delete the conversations that `chat --keep` has stored. ID may be the beginning of one, or
'last'.

  practorflow sessions list
  practorflow sessions show last
  practorflow sessions export 3f2a --output conversation.json
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--owner", default=None, help="whose sessions; yours by default")
    actions = add_actions(parser)
    listing = add_action(actions, "list", "newest first", _list)
    listing.add_argument("--limit", type=int, default=50, help="the most sessions (50)")
    listing.add_argument("--search", metavar="WORDS", help="only those with a message that has all these words")
    add_action(actions, "show", "what was said", _show).add_argument("id", metavar="ID")
    export = add_action(actions, "export", "as JSON, to take away", _export)
    export.add_argument("id", metavar="ID")
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="a new file; standard output by default")
    add_action(actions, "delete", "remove for good", _delete).add_argument("id", metavar="ID")


def _run(options: argparse.Namespace, context: Context) -> int:
    owner = options.owner or current_owner()
    with open_store(context.configuration().SessionConfiguration) as store:
        options.action(store, owner, options, context)
    return exit_codes.OK


def _list(store: SessionStore, owner: str, options: argparse.Namespace, context: Context) -> None:
    if options.search:
        found = {match.session_id for match in store.search(options.search, owner=owner, limit=1000)}
        sessions = [info for info in _all(store, owner) if info.id in found][: options.limit]
    else:
        sessions = list(store.list_sessions(owner=owner, limit=options.limit).sessions)
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
    with options.output.open("x", encoding="utf-8") as file:  # never over something that is there
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.write("\n")
    context.output.note(f"Written to {str(options.output)!r}.")


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
