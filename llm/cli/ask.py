"""`practorflow ask`: one question, one answer, and the end."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..exceptions import RequestError
from . import exit_codes
from .command import Command, Context
from .knowledge_options import add_document_options, chosen_documents
from .model_options import DEMO_NOTE, add_model_options, chosen_model
from .reply import Reply
from .standard_input import read_all

_DESCRIPTION = """\
Ask the model one question and print its answer as it is written.

  practorflow ask "What is Python?"
  practorflow ask - < question.txt
  practorflow ask --add contract.pdf "How long is the notice period?"
  practorflow ask --schema contact.json "Ada Lovelace can be reached at 555-0100. Who is it?"
  practorflow ask --json "Hello" | jq -r .reply
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", metavar="QUESTION", help="the question; '-' reads it from standard input")
    parser.add_argument("--instructions", metavar="TEXT", help="what the model should keep to (nothing)")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="JSON schema that the answer has to follow (none)")
    add_document_options(parser)
    add_model_options(parser)


def _run(options: argparse.Namespace, context: Context) -> int:
    from .assistant import Assistant

    question = read_all() if options.question == "-" else options.question
    if not question.strip():
        raise RequestError("The question is empty. Write it behind `ask`, or give '-' and a text on standard input.")
    asked: dict[str, Any] = {"prompt": question, "instructions": options.instructions}
    if options.schema is not None:
        asked["response_format"] = _schema(options.schema)
    config = chosen_model(context.configuration().ModelConfiguration, options)
    if config.model_name == "demo":
        context.output.note(DEMO_NOTE)
    knowledge = context.configuration().KnowledgeChromaConfiguration
    with chosen_documents(options, knowledge) as documents, Assistant(config) as assistant:
        runner = assistant.runner(knowledge_store=None if documents is None else documents.store)
        if documents is not None:
            runner.set_document_scope(documents.scope)
            documents.look_for(question, runner)
        reply = Reply(context.output)
        reply.end(assistant.stream(runner, reply.show, **asked))
    return exit_codes.OK


def _schema(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(
            f"The schema {str(path)!r} cannot be read: {error.strerror}. Give the path of a file that can be."
        ) from error
    except UnicodeDecodeError as error:
        raise RequestError(f"The schema {str(path)!r} is not JSON: it is no text in UTF-8.") from error
    except ValueError as error:
        raise RequestError(f"The schema {str(path)!r} is not JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise RequestError(f"The schema {str(path)!r} is not a JSON object.")
    return schema


COMMAND = Command("ask", "one question, one answer", _DESCRIPTION, _add_arguments, _run)
