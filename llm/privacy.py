"""Switches off what dependencies would send by themselves, before any of them is imported.

Importing `llm` does it first of all, because most switches are read once, while their package is imported:

- Telemetry is switched off whatever the environment says; nothing here ever wants it on.
- Implicit traffic to the model hub is off as well: models are found and downloaded by `llm.hub`, which asks by itself
  and only where that is allowed. A program that uses huggingface_hub on its own account sets HF_HUB_OFFLINE=0, and
  that choice stands until downloads are forbidden (LLM_OFFLINE=1).
- What was imported earlier, and has read its switches by then, is mended where it can be. onnxruntime cannot: it
  looks up a telemetry host within a minute. So importing `llm` warns, and whatever of ours computes with it refuses.

These are the switches of other packages. This module writes them, and looks at them only so as not to overwrite a
choice; our own settings are read by `settings` alone. Child processes inherit them.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from .exceptions import PrivacyError

TELEMETRY_OFF: Mapping[str, str] = MappingProxyType(
    {
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "DISABLE_SAFETENSORS_CONVERSION": "1",  # asks a web service to convert a model, and shows it the token
        "USE_HUB_KERNELS": "NO",  # would fetch code, some of it with trust_remote_code
        "ANONYMIZED_TELEMETRY": "False",
        "DO_NOT_TRACK": "1",
    }
)
HUB_OFF: Mapping[str, str] = MappingProxyType(
    {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_XET": "1",  # a native client that Python's guards do not see
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    }
)
_REMOVED = "CHROMA_OTEL_"  # would send traces of every query to a collector

_UNSTOPPABLE = {"onnxruntime": "ORT_DISABLE_TELEMETRY"}
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})  # as huggingface_hub reads them
_logger = logging.getLogger("practorflow.runner")


@dataclass(frozen=True)
class PrivacyState:
    """What `keep_private` found and did.

    Attributes:
        hub_forbidden: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE was set, so not even `llm.hub` asks.
        hub_allowed_to_others: HF_HUB_OFFLINE=0 was set, so the program may use huggingface_hub on its own account.
        mended: packages that had been imported earlier and were switched off afterwards.
        sending: packages that had been imported earlier and cannot be switched off any more.
    """

    hub_forbidden: bool = False
    hub_allowed_to_others: bool = False
    mended: tuple[str, ...] = ()
    sending: tuple[str, ...] = ()


_state: PrivacyState | None = None


def keep_private() -> PrivacyState:
    """Write all switches, once; `import llm` calls it before anything else. Later calls change nothing.

    A RuntimeWarning says what can no longer be switched off.
    """
    global _state
    if _state is None:
        hub = sys.modules.get("huggingface_hub.constants")
        _state = switched_off(os.environ, imported=sys.modules, hub_offline=bool(getattr(hub, "HF_HUB_OFFLINE", False)))
        _mend_hub()
        if _state.mended:
            _logger.info("Imported before llm and switched off afterwards: %s.", ", ".join(_state.mended))
        if _state.sending:
            warnings.warn(_complaint(_state.sending), RuntimeWarning, stacklevel=3)
    return _state


def require_private(*packages: str) -> None:
    """For modules that import one of `packages`: refuse when it was imported too early to be kept from sending.

    Raises:
        PrivacyError: says which, and how to do it right.
    """
    sending = [package for package in packages if package in keep_private().sending]
    if sending:
        raise PrivacyError(_complaint(sending))


def forbid_hub() -> None:
    """Make huggingface_hub offline for good, whatever the environment said. Downloads of our own have their own policy.

    Raises:
        PrivacyError: something that sends was imported before `llm`, so the process cannot be offline.
    """
    global _state
    _state = replace(keep_private(), hub_allowed_to_others=False)
    os.environ.update(HUB_OFF)
    _mend_hub()
    require_private(*_UNSTOPPABLE)


def hub_is_forbidden() -> bool:
    """Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE, as somebody else has set them, want nobody to ask the hub."""
    return keep_private().hub_forbidden


def switched_off(
    environ: MutableMapping[str, str], *, imported: Mapping[str, object], hub_offline: bool = False
) -> PrivacyState:
    """Write the switches into `environ` and say what that cannot reach; the decision of `keep_private`.

    Args:
        environ: the environment; it is changed.
        imported: the modules that are loaded already, as `sys.modules` has them.
        hub_offline: huggingface_hub is among them and was made offline by the program.
    """
    # The hub's own rule reads HF_HUB_OFFLINE=0 beside TRANSFORMERS_OFFLINE=1 as online. Here one wish is enough.
    forbidden = hub_offline or any(_is_true(environ.get(name)) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    allowed = not forbidden and bool(environ.get("HF_HUB_OFFLINE", "").strip())
    sending = tuple(
        package for package, switch in _UNSTOPPABLE.items() if package in imported and environ.get(switch) != "1"
    )
    hub_was_silent = all(environ.get(name) == value for name, value in HUB_OFF.items())
    mended = ("huggingface_hub",) if "huggingface_hub.constants" in imported and not hub_was_silent else ()
    for name in [name for name in environ if name.upper().startswith(_REMOVED)]:
        del environ[name]
    environ.update(TELEMETRY_OFF)
    for name, value in HUB_OFF.items():
        if not allowed:
            environ[name] = value
        elif name not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            environ.setdefault(name, value)
    environ.setdefault("GGML_NO_BACKTRACE", "1")  # a failed assertion in ggml would start a debugger otherwise
    return PrivacyState(forbidden, allowed, mended, sending)


def _mend_hub() -> None:
    """huggingface_hub has read its switches while it was imported; what it made of them can be changed."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        return
    for name in (*TELEMETRY_OFF, *HUB_OFF):
        if name.startswith("HF_") and hasattr(constants, name):
            setattr(constants, name, _is_true(os.environ.get(name)))


def _is_true(value: str | None) -> bool:
    return value is not None and value.strip().upper() in _TRUE


def _complaint(packages: Iterable[str]) -> str:
    return (
        f"{', '.join(packages)} was imported before llm and without ORT_DISABLE_TELEMETRY=1, so it sends telemetry and "
        "cannot be stopped in this process any more. Import llm first, or set that variable before Python starts."
    )
