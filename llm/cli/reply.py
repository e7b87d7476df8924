"""How a reply is shown: for people as it is written, for programs whole and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import Output, one_line

if TYPE_CHECKING:
    from ..base.messages import StreamChunk


class Reply:
    """One reply on its way to standard output.

    Args:
        output: where it goes.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._texts: list[str] = []
        self._reasoning: list[str] = []

    def show(self, chunk: StreamChunk) -> None:
        """A piece of it, as it comes."""
        self._texts.append(chunk.text)
        self._reasoning.append(chunk.reasoning)
        if chunk.text and not self._output.as_json:
            self._output.write(chunk.text)

    def end(self, last: StreamChunk, **further: Any) -> None:
        """The end of it: a line break for people, everything at once for programs."""
        text = "".join(self._texts)
        if not self._output.as_json:
            if not text.endswith("\n"):
                self._output.line()
            if last.finish_reason == "length":
                self._output.note("[The reply was cut off at its limit; --max-new-tokens allows more.]")
            self._cite(last.search_metadata)
            return
        result: dict[str, Any] = {
            "reply": text,
            "latency_seconds": last.latency_seconds,
            "usage": last.usage,
            "finish_reason": last.finish_reason,
        }
        if any(self._reasoning):
            result["reasoning"] = "".join(self._reasoning)
        if last.tool_calls:
            result["tool_calls"] = list(last.tool_calls)
        if last.search_metadata is not None:
            result["sources"] = last.search_metadata["results"]
        self._output.document({**result, **further})

    def _cite(self, search: dict[str, Any] | None) -> None:
        """The passages that the model was given, under the numbers it may use."""
        if search is None:
            return
        if not search["results"]:
            self._output.note("[No passage of the documents fits the question.]")
        for source in search["results"]:
            place = one_line(" > ".join((source["source"], *source["headings"])))
            self._output.note(f"[{source['number']}] {place}")
