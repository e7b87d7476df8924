"""What a proof run found, for people (`text`), for files (`as_json`) and for scripts (`passed`). Pure.

The verdict follows from the findings and is "PASSED" only where something was watched, the watch was shown to work, the
whole workflow ran, and nothing was seen. It contains no text that a model, a document or a user wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Method = Literal["network namespace", "seccomp"]

LIMITS: Mapping[Method, tuple[str, ...]] = {
    "network namespace": (
        "It shows what these versions did in this run with these models, not what other versions or settings would do.",
        "IPv6 was answered as unreachable, and names not at all: what would follow after an answer was not seen, only "
        "that nothing was asked.",
        "Unix sockets to services of this machine stay possible; the resolver daemons known to us were covered up.",
    ),
    "seccomp": (
        "The kernel refused every socket but unix ones, so nothing can have left; attempts were not counted. "
        "Run it as root, or where users may have namespaces, to see attempts too.",
        "Unix sockets to services of this machine stay possible, resolver daemons among them.",
        "It shows what these versions did in this run with these models, not what other versions or settings would do.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class OfflineReport:
    """What was run, how it was watched, and what was seen.

    Attributes:
        began: when, in UTC, as ISO 8601.
        method: how it was watched.
        seconds: how long the workflow was watched.
        system: machine, kernel, Python, user.
        versions: of this library and of the packages it stands on.
        models: each file's path and SHA-256.
        switches: what the environment of the workflow said about telemetry and the hub.
        steps: what ran, as the workflow wrote it down.
        returncode: how the workflow ended.
        control: what became of each attempt of the positive control, before and after the workflow.
        control_caught: each control run was seen (or refused) in every way that it tried.
        packets: what the workflow sent to others.
        lost: packets that the recorder could not keep.
        strangers: files that the workflow left in its home or temporary folder, where none belong.
        leaks: files in which the canary stands although all was deleted; the log counts.
    """

    began: str
    method: Method
    seconds: float
    system: Mapping[str, str]
    versions: Mapping[str, str]
    models: Mapping[str, str]
    switches: Mapping[str, str]
    steps: Sequence[Mapping[str, Any]]
    returncode: int
    control: Sequence[Mapping[str, str]]
    control_caught: bool
    packets: Sequence[str]
    lost: int
    strangers: Sequence[str]
    leaks: Sequence[str]

    @property
    def findings(self) -> list[str]:
        """Why it did not pass; empty where it did."""
        found = []
        if not self.control_caught:
            found.append("The positive control was not caught, so this watch proves nothing.")
        if self.returncode != 0 or not self.steps or any(step["outcome"] != "done" for step in self.steps):
            found.append(f"The workflow did not run to its end (exit code {self.returncode}).")
        if self.packets:
            found.append(f"{len(self.packets)} packets were sent to others.")
        if self.lost:
            found.append(f"{self.lost} packets were lost by the recorder.")
        if self.strangers:
            found.append(f"{len(self.strangers)} files were written where none belong.")
        if self.leaks:
            found.append(f"{len(self.leaks)} files hold text that was said or deleted.")
        return found

    @property
    def passed(self) -> bool:
        """Whether nothing left."""
        return not self.findings

    def _counted(self) -> str:
        if self.method == "seccomp":
            return "none can have been sent; attempts are not counted by this method"
        return f"{len(self.packets)}" + (f", lost by the recorder: {self.lost}" if self.lost else "")

    def as_json(self) -> str:
        """All of it, with the verdict."""
        return json.dumps({"passed": self.passed, "findings": self.findings, **asdict(self)}, indent=2, default=str)

    def text(self) -> str:
        """All of it on a page that can be filed."""
        lines = [
            "PRACTORFLOW OFFLINE REPORT",
            "",
            f"Verdict    {'PASSED: nothing left this machine' if self.passed else 'FAILED'}",
            *(f"           - {finding}" for finding in self.findings),
            f"Began      {self.began}",
            f"Watched    {self.seconds:.0f} s, by {self.method}",
            "",
            *_table("System", self.system),
            *_table("Versions", self.versions),
            *_table("Models (SHA-256)", self.models),
            *_table("Switches in the environment", self.switches),
            "What ran",
            *(f"  {_step(step)}" for step in self.steps),
            "",
            "Positive control, before and after: " + ("caught each time" if self.control_caught else "NOT CAUGHT"),
            *(f"  {way}: {outcome}" for attempts in self.control for way, outcome in attempts.items()),
            "",
            f"Packets to others: {self._counted()}",
            *(f"  {packet}" for packet in self.packets),
            f"Files in the home and temporary folders: {len(self.strangers)}",
            *(f"  {name}" for name in self.strangers),
            f"Files that still hold what was said, the log included: {len(self.leaks)}",
            *(f"  {name}" for name in self.leaks),
            "",
            "Limits",
            *(f"  {limit}" for limit in LIMITS[self.method]),
        ]
        return "\n".join(lines) + "\n"


def _table(title: str, rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows), default=0)
    return [title, *(f"  {name:<{width}}  {value}" for name, value in rows.items()), ""]


def _step(step: Mapping[str, Any]) -> str:
    facts = "; ".join(f"{name}: {_fact(value)}" for name, value in step.items() if name not in _KNOWN)
    return f"{step['step']:<16} {step['outcome']:<7} {step['seconds']:8.2f} s  {facts}".rstrip()


def _fact(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


_KNOWN = ("step", "outcome", "seconds")
