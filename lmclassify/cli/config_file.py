"""Options of a command in a TOML file: read, checked, written.

A key is an option's long name without the dashes in front. Options on the command line replace those of the
file, lists as a whole. Relative paths in a file start from its own folder.
"""

from __future__ import annotations

import os
import sys
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tomli_w
import typer

from lmclassify.cli.command import Options
from lmclassify.errors import OptionError, OutputError, did_you_mean, listing, shorten

Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Read options from a TOML file (max-epochs = 5). Options on the command line take precedence.",
    ),
]
SaveConfig = Annotated[
    str | None,
    typer.Option(
        "--save-config", metavar="FILE", help="Write the options of this fit to a file for --config."
    ),
]

CONFIG_OPTIONS: Options = {"config": (Config, None), "save_config": (SaveConfig, None)}

_TABLES = ("class_prior", "class_weight")
_PATHS = ("output", "tensorboard")
_PATH_LISTS = ("data", "unlabelled")


def read_config(path: str, hints: Mapping[str, Any]) -> dict[str, Any]:
    """Read the options of a file.

    Raises OptionError if the file cannot be read, or an option in it is unknown or has a wrong value.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    hints : mapping of str to Any
        The annotation of each option, by the name of its parameter.

    Returns
    -------
    dict of str to Any
        The options' values, by the name of the parameter.
    """
    name = "standard input" if path == "-" else path
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        found = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise OptionError(f"--config {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OptionError(f"{name} is not valid TOML: {error}") from None
    folder = "" if path == "-" else os.path.dirname(path)
    options: dict[str, Any] = {}
    for key, value in found.items():
        option = key.replace("-", "_")
        if option not in hints:
            known = listing((name.replace("_", "-") for name in hints), len(hints))
            similar = did_you_mean(key.replace("_", "-"), (name.replace("_", "-") for name in hints))
            raise OptionError(f"{name}: {shorten(key)} is not an option{similar}; the options are: {known}")
        if option in options:
            raise OptionError(f"{name}: {key} is given twice, with _ and with -")
        try:
            options[option] = _from_folder(option, _checked(option, value, hints[option]), folder)
        except OptionError as error:
            raise OptionError(f"{name}: {key}: {error}") from None
    return options


def write_config(path: str, options: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Write options so that `read_config` returns the same values; those without a value are left out.

    Raises OutputError if the file cannot be written.
    """
    folder = "" if path == "-" else os.path.dirname(path)
    written: dict[str, Any] = {}
    for option, value in options.items():
        shown = "none" if value is None and _may_be_none(hints[option]) else _to_folder(option, value, folder)
        if shown is not None:
            written[option.replace("_", "-")] = shown
    try:
        content = tomli_w.dumps(written).encode("utf-8")
    except UnicodeEncodeError:
        raise OutputError(f"cannot write {path}: an option holds bytes that are not valid UTF-8") from None
    from lmclassify.persistence.atomic_file import FileWriter

    with FileWriter(path) as file:
        file.write_bytes(content)


def _checked(option: str, value: Any, hint: Any) -> Any:
    """Check a value and convert it as the command line does."""
    kind, info = _unpacked(hint)
    if value == "none" and _may_be_none(hint):
        return None
    if option in _TABLES and isinstance(value, dict):
        if not value or not all(_is_number(number) for number in value.values()):
            raise OptionError(f"expected numbers by label, not {shorten(value)}")
        return {label: float(number) for label, number in value.items()}
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise OptionError(f"expected one of {listing(map(repr, get_args(kind)))}, not {shorten(value)}")
        return value
    if get_origin(kind) is list:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise OptionError(f"expected a list of strings, not {shorten(value)}")
        return value
    good = isinstance(value, (bool, int) if kind is bool else kind) and isinstance(value, bool) == (
        kind is bool
    )
    if kind is float:
        good = _is_number(value)
    if not good:
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
        raise OptionError(f"expected {names[kind]}, not {shorten(value)}")
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise OptionError(f"must be {bounds}, not {value}")
    return kind(value)


def _unpacked(hint: Any) -> tuple[Any, Any]:
    """Return the type of an annotation, without None, and its typer option."""
    kind, *more = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    return kind, more[0] if more else None


def _may_be_none(hint: Any) -> bool:
    """Return whether an option accepts the word none, which stands for None: TOML has no null."""
    return getattr(_unpacked(hint)[1], "parser", None) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _from_folder(option: str, value: Any, folder: str) -> Any:
    return _with_paths(option, value, lambda path: path if path in ("", "-") else os.path.join(folder, path))


def _to_folder(option: str, value: Any, folder: str) -> Any:
    def moved(path: str) -> str:
        if path in ("", "-") or os.path.isabs(path) or not folder:
            return path
        return os.path.relpath(path, folder)

    return _with_paths(option, value, moved)


def _with_paths(option: str, value: Any, change: Any) -> Any:
    """Return an option's value with `change` applied to the paths in it."""
    if option in _PATHS and value is not None:
        return change(value)
    if option in _PATH_LISTS and value is not None:
        return [change(path) for path in value]
    if option == "labels" and value is not None:
        parts = [item.partition("=") for item in value]
        return [f"{name}{equals}{change(path.strip())}" if equals else name for name, equals, path in parts]
    return value
