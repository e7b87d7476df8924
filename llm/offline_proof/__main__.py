"""`python -m llm.offline_proof`: run the proof with the demo model and print its report."""

from __future__ import annotations

import argparse
import sys

from ..exceptions import LLMError
from .verification import DEFAULT_SECONDS, verify_offline


def main() -> int:
    """Run the proof; 0 where it passed, 1 where it did not, 2 where it could not be made."""
    parser = argparse.ArgumentParser(prog="python -m llm.offline_proof", description=__doc__)
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="how long to watch (90)")
    parser.add_argument("--method", choices=("auto", "network namespace", "seccomp"), default="auto")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    try:
        report = verify_offline(seconds=options.seconds, method=options.method)
    except LLMError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(report.as_json() if options.json else report.text())
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
