"""Docstrings in the Python reference: defaults as values, and types in words."""

from __future__ import annotations

import inspect
from typing import Any

import griffe

import lmclassify

_CLASSES = ("classify.estimator.LMClassifier", "classify.model.FittedModel", "classify.predictor.Predictor")
_SECTIONS = ("parameters", "attributes", "returns", "raises")


class Docstrings(griffe.Extension):
    """An extension of the program that reads the sources for the reference."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Mend the docstrings of the classes, when the sources have been read."""
        for name in _CLASSES:
            documented = [pkg[name], *(member for member in pkg[name].members.values() if member.docstring)]
            for section in (part for item in documented for part in item.docstring.parsed):
                if section.kind.value in _SECTIONS:
                    for entry in section.value:
                        entry.annotation = _in_words(entry.annotation)
        defaults = inspect.signature(lmclassify.LMClassifier).parameters
        for section in pkg[_CLASSES[0]].docstring.parsed:
            if section.kind.value == "parameters":
                for parameter in section.value:
                    parameter.value = repr(defaults[parameter.name].default)


def _in_words(annotation: Any) -> Any:
    """Return a type as its docstring has it.

    The parser takes {"a", "b"} for a tuple, and array-like for a difference.
    """
    if isinstance(annotation, griffe.ExprTuple):
        elements = [str(element) for element in annotation.elements]
        if all(element.startswith(("'", '"')) for element in elements):
            return f"{', '.join(elements[:-1])} or {elements[-1]}"
        if "array - like" in elements:
            return ", ".join(elements).replace(" - ", "-")
        annotation.implicit = True  # no brackets around it
    return "array-like" if str(annotation) == "array - like" else annotation
