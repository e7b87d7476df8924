"""Proof that nothing leaves: the whole workflow runs where every packet would be seen, and a report says what was seen.

    from llm.offline_proof import verify_offline

    report = verify_offline()
    print(report.text())

On the command line: `practorflow verify-offline`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names_on_demand import names_on_demand

if TYPE_CHECKING:
    from .report import OfflineReport
    from .verification import verify_offline

__all__ = ["OfflineReport", "verify_offline"]

_ON_DEMAND = {"OfflineReport": ".report", "verify_offline": ".verification"}

__getattr__, __dir__ = names_on_demand(globals(), _ON_DEMAND)
