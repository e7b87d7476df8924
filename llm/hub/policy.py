"""Whether this process may ask the hub for files, and which hub.

That is a property of the machine and not of one model, so it is not part of LLMConfig. This module reads no
environment: `settings` does, and sets the policy when the program first uses its configuration. Without that, asking
is allowed. The policy is one value that is replaced as a whole; a call that is given `offline` explicitly ignores it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..exceptions import ConfigError
from ..field_checks import check_flag
from ..privacy import forbid_hub


@dataclass(frozen=True, kw_only=True)
class DownloadPolicy:
    """What downloads are allowed to do.

    Args:
        offline: never ask the hub; what is not on disk is an OfflineError.
        endpoint: address of the hub or of a mirror inside the organization; None takes that of huggingface_hub.

    Raises:
        ConfigError: the endpoint is not an address.
    """

    offline: bool = False
    endpoint: str | None = None

    def __post_init__(self) -> None:
        check_flag("offline", self.offline)
        if self.endpoint is None:
            return
        try:
            address = urlsplit(self.endpoint)
            valid = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except ValueError:
            valid = False
        if not valid or address.query or address.fragment:
            raise ConfigError("endpoint", self.endpoint, "an address that begins with http:// or https://, or None")


_policy = DownloadPolicy()


def download_policy() -> DownloadPolicy:
    """The policy in force."""
    return _policy


def set_download_policy(policy: DownloadPolicy) -> None:
    """Replace the policy for downloads that begin from now on. Offline, dependencies cannot ask the hub either.

    Raises:
        PrivacyError: offline is asked for in a process that cannot be kept from sending; see `llm.privacy`.
    """
    global _policy
    if policy.offline:
        forbid_hub()
    _policy = policy
