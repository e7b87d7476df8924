"""Whether this process may ask the web, decided once and by name.

A query tells strangers what somebody here is working on, so nothing is taken for granted: until somebody has decided,
no web tool can be made. `settings` decides when the program first uses its configuration, from LLM_PRIVATE and
SERPAPI_API_KEY; a program without settings calls `set_web_access`. This module reads no environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..exceptions import ConfigError
from ..field_checks import check_flag


@dataclass(frozen=True, kw_only=True)
class WebAccess:
    """What web tools may do.

    Args:
        private: nothing may be asked; every web tool refuses, and nothing is sent.
        serpapi_api_key: key for SerpAPISearchTool where it is given none.

    Raises:
        ConfigError: names the field, its value and what is allowed.
    """

    private: bool = False
    serpapi_api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_flag("private", self.private)
        if self.serpapi_api_key is not None and not (
            isinstance(self.serpapi_api_key, str) and self.serpapi_api_key.strip()
        ):
            raise ConfigError("serpapi_api_key", "(hidden)", "a key, or None")


_access: WebAccess | None = None


def web_access() -> WebAccess:
    """What is decided.

    Raises:
        ConfigError: nobody has decided.
    """
    if _access is None:
        raise ConfigError(
            "web access",
            None,
            "decided before a web tool is made: use settings.app_settings.appConfiguration (LLM_PRIVATE=1 forbids the "
            "web), or call llm.tools.set_web_access(WebAccess(private=...))",
        )
    return _access


def set_web_access(access: WebAccess) -> None:
    """Decide, for all web tools of this process and from now on. A process that is private stays private."""
    global _access
    if _access is not None and _access.private:
        # Neither settings that are read late nor a program may undo what was forbidden before.
        access = replace(access, private=True)
    _access = access
