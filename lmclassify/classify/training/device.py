"""The device that LSTMs are trained on."""

from __future__ import annotations

from lmclassify.errors import OptionError

DEVICES = ("auto", "cpu", "cuda")


def check_device(name: str) -> None:
    """Raise OptionError if there is no such device; imports torch only if it has to be asked."""
    if name not in DEVICES:
        raise OptionError(f"device must be one of {', '.join(DEVICES)}, not {name!r}")
    if name == "cuda" and torch_device("auto") != "cuda":
        raise OptionError("device is cuda, but torch finds no CUDA device here; use cpu or auto")


def torch_device(name: str) -> str:
    """Return the torch device for ``auto``, ``cpu`` or ``cuda``, which `check_device` has accepted."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
