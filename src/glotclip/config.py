"""Typed settings that are loud about typos, and recipes that say only what differs from the defaults."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from glotclip.errors import ConfigError


class Settings(BaseModel):
    """Base of every group of settings: immutable, and an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


S = TypeVar("S", bound=Settings)


def check_names(names: Iterable[str], known: Iterable[str], *, where: str = "", kind: str = "setting") -> None:
    """Raise :class:`ConfigError` with "did you mean" for the first name of this kind that is not known."""
    accepted = sorted(known)
    for name in names:
        if name not in accepted:
            close = difflib.get_close_matches(name, accepted, n=1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            place = f" in {where}" if where else ""
            raise ConfigError(f"unknown {kind} {name!r}{place}", hint=f"{guess}known: {', '.join(accepted)}")


def settings_from(kind: type[S], values: Mapping[str, Any], *, where: str) -> S:
    """Build settings of ``kind``; an unknown name or a wrong value is a :class:`ConfigError`.

    Args:
        kind: the settings class.
        values: names and values, as read from a recipe or from ``--set``.
        where: what the error calls the place the values came from.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            check_names([name], kind.model_fields, where=where)
        said = first["msg"].removeprefix("Value error, ")
        got = f" (got {first['input']!r})" if name else ""
        raise ConfigError(
            f"{f'setting {name!r}' if name else 'settings'} in {where}: {said}{got}", hint="correct the value"
        ) from error


def digest(value: Any) -> str:
    """Hash JSON, such as everything that decides a run's result: 32 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Parse ``name=value`` strings (``--set``); values are read as YAML, so ``3``, ``true``, ``1e-4`` work."""
    values: dict[str, Any] = {}
    for text in assignments:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise ConfigError(f"cannot read the setting {text!r}", hint="write --set name=value, e.g. --set steps=50")
        values[name.strip()] = _scalar(value.strip())
    return values


def read_recipe(path: Path) -> dict[str, Any]:
    """Read a recipe: a YAML mapping of setting names to values."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"recipe {path} does not exist", hint="check the path; recipes/ has examples") from error
    except OSError as error:
        raise ConfigError(f"recipe {path} cannot be read: {error.strerror}", hint="give a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path} is not valid YAML: {error}", hint="correct the file") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"recipe {path} is not a list of 'name: value' lines", hint="see recipes/ for examples")
    return {key: _scalar(value) if isinstance(value, str) else value for key, value in content.items()}


def _scalar(text: str) -> Any:
    """Read one value as YAML 1.2 would: YAML 1.1 takes ``1e-4`` for a string and ``no`` for False."""
    import yaml

    if text.lower() in {"no", "yes", "on", "off"}:
        return text
    try:
        return float(text) if any(sign in text for sign in "eE.") else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"cannot read the value {text!r}", hint="quote it, or write plain YAML") from error
