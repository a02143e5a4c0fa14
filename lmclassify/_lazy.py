"""Lazy import of a package's public names (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def lazy_attributes(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module ``__getattr__`` that imports each name from its module when it is first used.

    Using a fitted model must not import torch, so packages export classes that need torch lazily.

    Parameters
    ----------
    package : str
        Name of the package, for error messages.
    modules : mapping of str to str
        The module of each name.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return get
