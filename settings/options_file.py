"""Reads ``options.env``: which file it is, and what stands in it.

The syntax is python-dotenv's, comments behind values included. Nothing is interpolated and the environment is not
touched: an options file is data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from llm.exceptions import ConfigError

PATH_VARIABLE = "PRACTORFLOW_OPTIONS"
RELATIVE_PATH = Path("config", "options", "options.env")


def find_options_file(
    environ: Mapping[str, str], *, current_folder: Path | None = None, project_folder: Path | None = None
) -> Path | None:
    """The options file that applies, or None where the defaults do.

    Looks at the path in PRACTORFLOW_OPTIONS, then below the current folder, then beside this package when it runs
    from a checkout of the project.

    Raises:
        ConfigError: PRACTORFLOW_OPTIONS names a file that is not there.
    """
    named = environ.get(PATH_VARIABLE, "")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(PATH_VARIABLE, named, "the path of a file that exists")
        return path
    path = (current_folder or Path.cwd()) / RELATIVE_PATH
    if path.is_file():
        return path
    project = project_folder or Path(__file__).resolve().parent.parent
    # An installed wheel stands beside other packages, and their `config` folder is none of our business.
    if (project / "pyproject.toml").is_file() and (project / RELATIVE_PATH).is_file():
        return project / RELATIVE_PATH
    return None


def read_options_file(path: Path) -> dict[str, str]:
    """The variables of an options file; of one that stands in it twice, the last value.

    Raises:
        ConfigError: the file cannot be read, or a line of it is not ``NAME=value``.
    """
    options: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except OSError as exc:
        raise ConfigError(PATH_VARIABLE, str(path), f"a file that can be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(PATH_VARIABLE, str(path), "a file of text in UTF-8") from exc
    for binding in bindings:
        if binding.error or (binding.key is not None and binding.value is None):
            text = binding.original.string
            empty_lines = text[: -len(text.lstrip())].count("\n")
            line = binding.original.line + empty_lines
            # The line is not quoted: a key or a password may stand in it.
            raise ConfigError(PATH_VARIABLE, str(path), f"lines NAME=value, and line {line} is none")
        if binding.key is not None and binding.value is not None:
            options[binding.key] = binding.value
    return options
