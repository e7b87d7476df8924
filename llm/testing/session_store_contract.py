"""What every session store promises, as tests to inherit.

class TestMyStore(SessionStoreContract):
    @pytest.fixture
    def store(self) -> Iterator[SessionStore]:
        with MyStore() as store:
            yield store
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest

from ..base.session import Session, SessionMessage, Summary, session_message
from ..base.session_store import SessionStore
from ..exceptions import RequestError, SessionChangedError, SessionNotFoundError, SessionStoreError

HOSTILE_TEXTS = (
    "",
    " \t\n",
    "'; DROP TABLE practorflow_sessions; --",
    "100% of it_all \\ /",
    "Zürich, 日本, 👩‍🚀 and \u202e backwards",
    "NUL \0 inside",
    "half a pair \ud83d",
    '{"lc": 1, "type": "constructor", "id": ["os", "system"]}',
    "long " * 20_000,
)
HOSTILE_IDS = ("", "x", "../../etc/passwd", "' OR ''='", "\0", "\ud800", "%", "a" * 10_000)


def said(*texts: str) -> list[SessionMessage]:
    """A turn: what the user said, then the reply, and so on."""
    roles = ("user", "assistant")
    return [session_message({"role": roles[n % 2], "content": text}) for n, text in enumerate(texts)]


def contents(session: Session) -> list[str]:
    return [entry.message["content"] for entry in session.messages]


class SessionStoreContract:
    """Inherit and give a fixture `store`, empty for each test."""

    def test_a_session_begins_as_it_was_asked_for(self, store: SessionStore) -> None:
        """What create returns is what get returns, and times are now, in UTC."""
        before = datetime.now(timezone.utc)
        session = store.create(
            owner="ada", title="Bridges", document_scope={"b", "a"}, metadata={"colour": "red", "deep": [{"n": 1.5}]}
        )
        assert store.get(session.id, owner="ada") == session
        assert (session.owner, session.title, session.document_scope) == ("ada", "Bridges", frozenset("ab"))
        assert session.metadata == {"colour": "red", "deep": [{"n": 1.5}]}
        assert (session.messages, session.message_count, session.tokens, session.revision) == ((), 0, 0, 0)
        assert before <= session.created_at == session.updated_at <= datetime.now(timezone.utc)

    def test_no_scope_and_an_empty_scope_are_different(self, store: SessionStore) -> None:
        """None leaves it to the caller, an empty scope means no documents, and both come back as they went in."""
        for scope in (None, set(), {"one"}):
            session = store.create(owner="ada", document_scope=scope)
            assert store.get(session.id, owner="ada").document_scope == scope
            for other in ({"x", "y"}, set(), None):
                changed = store.set_document_scope(session.id, owner="ada", document_scope=other)
                assert changed.document_scope == store.get(session.id, owner="ada").document_scope == other

    def test_a_turn_is_added_as_it_was(self, store: SessionStore) -> None:
        """Messages keep their order, ids, counts, calls, results and marks; the session's sums follow."""
        session = store.create(owner="ada")
        call = {"tool_name": "add", "args": {"a": 1, "b": [None, True, {"c": "ü"}]}, "tool_call_id": "call_1"}
        first = [
            session_message({"role": "system", "content": "Be brief."}, tokens=3),
            session_message({"role": "user", "content": "1 + 2?"}, tokens=5),
            session_message({"role": "assistant", "content": "", "reasoning": "Add.", "tool_calls": [call]}, tokens=7),
        ]
        second = [
            session_message({"role": "tool", "content": "3", "tool_call_id": "call_1", "name": "add"}, tokens=1),
            session_message({"role": "assistant", "content": "It is"}, tokens=2, interrupted=True),
        ]
        info = store.append_turn(session.id, first, owner="ada", revision=0)
        assert (info.revision, info.message_count, info.tokens) == (1, 3, 15)
        info = store.append_turn(session.id, second, owner="ada", revision=info.revision)
        found = store.get(session.id, owner="ada")
        assert list(found.messages) == [*first, *second]
        assert (found.revision, found.message_count, found.tokens) == (2, 5, 18)
        assert found.updated_at == info.updated_at >= session.updated_at
        assert found.created_at == session.created_at

    @pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
    def test_any_text_comes_back_as_it_was(self, store: SessionStore, text: str) -> None:
        """In contents, reasoning, arguments, metadata and summaries; no text is ever more than text."""
        session = store.create(owner="ada", metadata={"text": text})
        call = {"tool_name": "note", "args": {"text": text}, "tool_call_id": "1"}
        message = session_message(
            {"role": "assistant", "content": text, "reasoning": text, "tool_calls": [call]}, tokens=1
        )
        store.append_turn(session.id, [message], owner="ada", revision=0)
        store.set_summary(session.id, owner="ada", summary=Summary(text=text, covers=1))
        found = store.get(session.id, owner="ada")
        assert found.messages == (message,)
        assert found.metadata == {"text": text}
        assert found.summary == Summary(text=text, covers=1)
        if text.strip() and len(text) < 100:
            assert [match.message for match in store.search(text, owner="ada")] == [message]

    @pytest.mark.parametrize("wrong", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
    def test_an_id_of_nothing_is_not_found(self, store: SessionStore, wrong: str) -> None:
        """Whatever characters it has, in every call."""
        session = store.create(owner="ada")
        for call in self._calls(store, wrong):
            with pytest.raises(SessionNotFoundError):
                call("ada")
        with pytest.raises(SessionNotFoundError):
            store.truncate(session.id, owner="ada", after=wrong)
        assert store.get(session.id, owner="ada") == session

    def test_sessions_of_others_are_not_there(self, store: SessionStore) -> None:
        """No call reaches one, no list and no search shows one, and the error is that of a session that never was."""
        hers = store.create(owner="ada", title="hers")
        store.append_turn(hers.id, said("secret plan", "noted"), owner="ada", revision=0)
        untouched = store.get(hers.id, owner="ada")
        with pytest.raises(SessionNotFoundError) as never:
            store.get("0" * 32, owner="bob")
        for call in self._calls(store, hers.id):
            with pytest.raises(SessionNotFoundError) as caught:
                call("bob")
            assert str(caught.value).replace(hers.id, "0" * 32) == str(never.value)
        for other in ("bob", "Ada", "ada ", "%", "a_a"):
            assert store.list_sessions(owner=other).sessions == ()
            assert store.search("secret", owner=other) == ()
        assert store.get(hers.id, owner="ada") == untouched

    def test_lists_are_paged_newest_first(self, store: SessionStore) -> None:
        """Every session once, in the order in which the conversations last went on, whatever the page's size."""
        ids = [store.create(owner="ada", title=str(number)).id for number in range(7)]
        store.create(owner="bob")
        for touched in (2, 5, 0):
            store.append_turn(ids[touched], said("Hello", "Hi"), owner="ada", revision=0)
        store.rename(ids[3], owner="ada", title="renaming is not going on")
        expected = [ids[number] for number in (0, 5, 2, 6, 4, 3, 1)]
        for limit in (1, 2, 3, 6, 7, 8, 1000):
            found: list[str] = []
            page = None
            while True:
                result = store.list_sessions(owner="ada", limit=limit, page=page)
                assert 0 < len(result.sessions) <= limit
                found += [info.id for info in result.sessions]
                page = result.next_page
                if page is None:
                    break
            assert found == expected
        whole = store.list_sessions(owner="ada").sessions
        assert whole[0].message_count == 2
        times = [info.updated_at for info in whole]
        assert times == sorted(times, reverse=True)

    def test_a_page_stays_right_while_the_list_changes(self, store: SessionStore) -> None:
        """What is created, continued or deleted meanwhile neither repeats nor hides the others."""
        ids = [store.create(owner="ada").id for _ in range(6)]
        first = store.list_sessions(owner="ada", limit=2)
        store.create(owner="ada")
        store.delete(ids[4], owner="ada")  # the very session where the page ended
        store.append_turn(ids[1], said("Hello", "Hi"), owner="ada", revision=0)
        rest = store.list_sessions(owner="ada", limit=10, page=first.next_page)
        assert [info.id for info in first.sessions] == [ids[5], ids[4]]
        assert [info.id for info in rest.sessions] == [ids[3], ids[2], ids[0]]

    @pytest.mark.parametrize("wrong", ["", "1", "1.", ".a", "x.a", "1.a;b", "9" * 30 + ".a", "1.\0"])
    def test_a_page_of_nothing_is_refused(self, store: SessionStore, wrong: str) -> None:
        """So is a limit out of bounds."""
        with pytest.raises(RequestError, match="page"):
            store.list_sessions(owner="ada", page=wrong)
        for limit in (0, -1, 1001, 2.5, True):
            with pytest.raises(RequestError, match="limit"):
                store.list_sessions(owner="ada", limit=limit)  # type: ignore[arg-type]

    def test_searching_finds_every_word_in_any_case(self, store: SessionStore) -> None:
        """Words in any order, inside others too; signs that databases use as wildcards are signs."""
        old, new = store.create(owner="ada", title="old"), store.create(owner="ada", title="new")
        texts = ("The Bridge of ZÜRICH", "Straße 100% fertig", "a_b and ａ wide ﬁne one", "日本の橋 and the bridge")
        store.append_turn(new.id, said(texts[0], texts[1]), owner="ada", revision=0)
        store.append_turn(old.id, said(texts[2], texts[3]), owner="ada", revision=0)
        store.append_turn(new.id, said("later", "and last"), owner="ada", revision=1)
        cases: dict[str, list[str]] = {
            "bridge": [texts[0], texts[3]],
            "BRIDGE the": [texts[0], texts[3]],
            "zürich": [texts[0]],
            "STRASSE": [texts[1]],
            "0%": [texts[1]],
            "%": [texts[1]],
            "_": [texts[2]],
            "fine": [texts[2]],
            "橋": [texts[3]],
            "rid": [texts[0], texts[3]],
            "bridge absent": [],
            "user": [],
            "content": [],
        }
        for query, expected in cases.items():
            found = store.search(query, owner="ada")
            assert [match.message.message["content"] for match in found] == expected, query
        (match, other) = store.search("bridge", owner="ada")
        assert (match.session_id, match.title, other.title) == (new.id, "new", "old")
        assert store.search("bridge", owner="ada", limit=1) == (match,)
        for wrong in ("", "  ", "x" * 1001, None):
            with pytest.raises(RequestError, match="search"):
                store.search(wrong, owner="ada")  # type: ignore[arg-type]

    def test_truncating_goes_back_to_a_message(self, store: SessionStore) -> None:
        """What was said behind it is gone from session, sums, search and summary, and the session goes on."""
        session = store.create(owner="ada")
        store.append_turn(session.id, said("one", "two"), owner="ada", revision=0)
        store.append_turn(session.id, said("three", "four"), owner="ada", revision=1)
        store.set_summary(session.id, owner="ada", summary=Summary(text="counting", covers=2))
        whole = store.get(session.id, owner="ada")
        info = store.truncate(session.id, owner="ada", after=whole.messages[2].id)
        found = store.get(session.id, owner="ada")
        assert contents(found) == ["one", "two", "three"]
        assert (info.message_count, info.tokens) == (3, sum(entry.tokens for entry in found.messages))
        assert info.revision > whole.revision
        assert found.summary is not None
        assert store.search("four", owner="ada") == ()
        info = store.append_turn(session.id, said("3", "4"), owner="ada", revision=info.revision)
        with pytest.raises(SessionNotFoundError, match=whole.messages[3].id):
            store.truncate(session.id, owner="ada", after=whole.messages[3].id)
        info = store.truncate(session.id, owner="ada", after=whole.messages[0].id)
        assert (info.message_count, info.summary) == (1, None)
        info = store.truncate(session.id, owner="ada", after=None)
        assert (info.message_count, info.tokens) == (0, 0)

    def test_deleting_leaves_nothing(self, store: SessionStore) -> None:
        """Neither the session nor its messages; other sessions stay."""
        gone, stays = store.create(owner="ada"), store.create(owner="ada")
        for session in (gone, stays):
            store.append_turn(session.id, said("the bridge", "yes"), owner="ada", revision=0)
        store.delete(gone.id, owner="ada")
        for call in self._calls(store, gone.id):
            with pytest.raises(SessionNotFoundError):
                call("ada")
        assert [match.session_id for match in store.search("bridge", owner="ada")] == [stays.id]
        assert [info.id for info in store.list_sessions(owner="ada").sessions] == [stays.id]

    def test_a_turn_answers_one_revision_only(self, store: SessionStore) -> None:
        """Of eight that answer the same history at once, one is stored whole and seven are told; nothing is mixed."""
        session = store.create(owner="ada")
        for revision in range(5):
            barrier = threading.Barrier(8)

            def answer(writer: int, revision: int = revision, barrier: threading.Barrier = barrier) -> bool:
                turn = said(f"question {writer}", f"answer {writer}")
                barrier.wait()
                try:
                    store.append_turn(session.id, turn, owner="ada", revision=revision)
                except SessionChangedError:
                    return False
                return True

            with ThreadPoolExecutor(8) as threads:
                assert sum(threads.map(answer, range(8))) == 1
        texts = contents(store.get(session.id, owner="ada"))
        assert len(texts) == 10
        assert all(
            q.removeprefix("question") == a.removeprefix("answer") for q, a in zip(*[iter(texts)] * 2, strict=True)
        )

    def test_what_is_not_messages_changes_no_revision(self, store: SessionStore) -> None:
        """A title that comes while a reply is generated does not undo the reply."""
        session = store.create(owner="ada")
        store.rename(session.id, owner="ada", title="Greeting")
        store.set_metadata(session.id, owner="ada", metadata={"pinned": True})
        store.set_document_scope(session.id, owner="ada", document_scope={"a"})
        store.set_summary(session.id, owner="ada", summary=Summary(text="nothing yet", covers=0))
        store.append_turn(session.id, said("Hello", "Hi"), owner="ada", revision=session.revision)
        found = store.get(session.id, owner="ada")
        assert (found.title, found.document_scope) == ("Greeting", frozenset("a"))
        assert found.metadata == {"pinned": True}
        assert store.set_summary(session.id, owner="ada", summary=None).summary is None

    def test_an_export_survives_json_and_comes_back(self, store: SessionStore) -> None:
        """As another session with the same content; whose it is and what it sees is said by whoever imports it."""
        session = store.create(owner="ada", title="Bridges", document_scope={"a"}, metadata={"n": 1})
        call = {"tool_name": "add", "args": {"a": 1}, "tool_call_id": "c"}
        turn = [
            session_message({"role": "user", "content": "half \ud83d, NUL \0"}, tokens=4),
            session_message({"role": "assistant", "content": "", "tool_calls": [call]}, tokens=5, interrupted=True),
        ]
        store.append_turn(session.id, turn, owner="ada", revision=0)
        exported = store.get(session.id, owner="ada")
        document = json.loads(json.dumps(store.export_session(session.id, owner="ada")))
        copied = store.import_session(document, owner="bob", document_scope=document["document_scope"])
        assert store.get(copied.id, owner="bob") == copied
        assert copied.id != exported.id
        assert (copied.owner, copied.title, copied.metadata) == ("bob", "Bridges", {"n": 1})
        assert (copied.document_scope, copied.tokens, copied.message_count) == (frozenset("a"), 9, 2)
        assert (copied.created_at, copied.updated_at) == (exported.created_at, exported.updated_at)
        for mine, theirs in zip(copied.messages, exported.messages, strict=True):
            assert mine.id != theirs.id
            assert (mine.message, mine.tokens, mine.interrupted) == (theirs.message, theirs.tokens, theirs.interrupted)
            assert mine.created_at == theirs.created_at
        unseeing = store.import_session(document, owner="bob", document_scope=())
        assert unseeing.document_scope == frozenset()

    def test_what_is_no_export_is_refused(self, store: SessionStore) -> None:
        """By the place that is wrong, and nothing of it is stored."""
        session = store.create(owner="ada")
        store.append_turn(session.id, said("Hello", "Hi"), owner="ada", revision=0)
        sound = store.export_session(session.id, owner="ada")

        def broken(**changes: Any) -> dict[str, Any]:
            return {**sound, **changes}

        def entry(**changes: Any) -> dict[str, Any]:
            return broken(messages=[sound["messages"][0], {**sound["messages"][1], **changes}])

        cases: list[tuple[Any, str]] = [
            ([], "format"),
            ({}, "format"),
            (broken(format="pickle"), "format"),
            (broken(version=2), "version"),
            (broken(title=5), "title"),
            (broken(title="x" * 513), "title"),
            (broken(metadata=[]), "metadata"),
            (broken(created_at="yesterday"), "created_at"),
            (broken(updated_at="2026-01-01T00:00:00"), "updated_at"),
            (broken(messages={}), "list of messages"),
            (broken(messages=["Hello"]), r"messages\[0\]"),
            (entry(message=None), r"messages\[1\]\.message"),
            (entry(message={"role": "robot", "content": "x"}), r"messages\[1\]\.message\.role"),
            (entry(message={"role": "user", "content": 5}), r"messages\[1\]\.message\.content"),
            (entry(message={"role": "user", "content": "x", "lc": 1}), "'lc'"),
            (entry(message={"role": "assistant", "tool_calls": [5]}), r"tool_calls\[0\]"),
            (entry(tokens=-1), r"messages\[1\]\.tokens"),
            (entry(tokens="many"), r"messages\[1\]\.tokens"),
            (entry(interrupted="yes"), r"messages\[1\]\.interrupted"),
            (entry(created_at="0001-01-01T00:00:00+14:00"), r"messages\[1\]\.created_at"),
        ]
        for document, place in cases:
            with pytest.raises(RequestError, match=place):
                store.import_session(document, owner="bob", document_scope=None)
        assert store.list_sessions(owner="bob").sessions == ()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"owner": ""},
            {"owner": None},
            {"owner": "NUL \0"},
            {"owner": "half \ud800"},
            {"owner": "x" * 513},
            {"title": None},
            {"title": "\0"},
            {"document_scope": "one-id"},
            {"document_scope": [1]},
            {"document_scope": 5},
            {"metadata": {"a": object()}},
            {"metadata": {"a": float("nan")}},
            {"metadata": [1]},
        ],
    )
    def test_bad_values_are_refused_by_name(self, store: SessionStore, wrong: dict[str, Any]) -> None:
        """RequestError before anything is stored."""
        (name,) = wrong
        with pytest.raises(RequestError, match=name):
            store.create(**{"owner": "ada", **wrong})
        assert store.list_sessions(owner="ada").sessions == ()

    def test_nobody_changes_what_is_stored_by_accident(self, store: SessionStore) -> None:
        """What went in and what came out are copies."""
        metadata = {"list": [1]}
        turn = said("Hello", "Hi")
        session = store.create(owner="ada", metadata=metadata)
        store.append_turn(session.id, turn, owner="ada", revision=0)
        metadata["list"].append(2)
        turn[0].message["content"] = "changed"
        found = store.get(session.id, owner="ada")
        found.messages[1].message["content"] = "changed"
        found.metadata["list"].append(3)
        again = store.get(session.id, owner="ada")
        assert contents(again) == ["Hello", "Hi"]
        assert again.metadata == {"list": [1]}

    def test_many_threads_write_many_sessions(self, store: SessionStore) -> None:
        """Eight threads, each with its own sessions and one read by all: every turn is there, none is mixed."""
        shared = store.create(owner="everybody")

        def work(worker: int) -> None:
            session = store.create(owner=f"owner {worker}")
            for number in range(12):
                store.append_turn(
                    session.id,
                    said(f"{worker} asks {number}", f"{worker} hears {number}"),
                    owner=f"owner {worker}",
                    revision=number,
                )
                store.get(shared.id, owner="everybody")
            (found,) = store.list_sessions(owner=f"owner {worker}").sessions
            assert found.message_count == 24
            texts = contents(store.get(session.id, owner=f"owner {worker}"))
            assert texts == [f"{worker} {verb} {number}" for number in range(12) for verb in ("asks", "hears")]

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))

    def test_a_closed_store_says_so(self, store: SessionStore) -> None:
        """Closing twice is once; every later call raises SessionStoreError."""
        session = store.create(owner="ada")
        store.close()
        store.close()
        for call in self._calls(store, session.id):
            with pytest.raises(SessionStoreError, match="closed"):
                call("ada")
        for later in (store.list_sessions, store.create):
            with pytest.raises(SessionStoreError, match="closed"):
                later(owner="ada")
        with pytest.raises(SessionStoreError, match="closed"):
            store.search("Hello", owner="ada")

    def test_texts_stay_out_of_representations(self, store: SessionStore) -> None:
        """What is logged by accident holds ids and counts."""
        session = store.create(owner="ada", title="canary", metadata={"canary": "canary"}, document_scope={"canary"})
        store.append_turn(session.id, said("canary", "canary"), owner="ada", revision=0)
        store.set_summary(session.id, owner="ada", summary=Summary(text="canary", covers=1))
        found = store.get(session.id, owner="ada")
        page, matches = store.list_sessions(owner="ada"), store.search("canary", owner="ada")
        assert "canary" not in repr((found, found.messages, found.summary, page, matches, store))

    @staticmethod
    def _calls(store: SessionStore, session_id: str) -> list[Callable[[str], object]]:
        """Every call about one session, to be made by some owner."""
        return [
            lambda owner: store.get(session_id, owner=owner),
            lambda owner: store.append_turn(session_id, said("Hello"), owner=owner, revision=0),
            lambda owner: store.rename(session_id, owner=owner, title="x"),
            lambda owner: store.set_document_scope(session_id, owner=owner, document_scope=None),
            lambda owner: store.set_metadata(session_id, owner=owner, metadata={}),
            lambda owner: store.set_summary(session_id, owner=owner, summary=None),
            lambda owner: store.truncate(session_id, owner=owner, after=None),
            lambda owner: store.export_session(session_id, owner=owner),
            lambda owner: store.delete(session_id, owner=owner),
        ]
