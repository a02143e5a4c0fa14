"""What can be set about a language model and its training; without torch, for the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from lmclassify.errors import OptionError


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    optional: type | None = None,
) -> Any:
    """Declare a dataclass field with what is needed to check it and to explain it to a user.

    `optional` is the type of a value that may be None; else it is that of the default.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "optional": optional is not None,
        "type": optional or type(default),
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class LanguageModelSettings:
    """Sizes of a language model and how it is trained. Lengths are in tokens, losses in nats per token."""

    max_length: int = setting(256, "Longest sequence trained on, in tokens; longer texts are cut.", minimum=2)
    embedding_dim: int | None = setting(
        64,
        "Columns of the token embedding (none: vocabulary size to the power 1/4).",
        minimum=1,
        optional=int,
    )
    cell: str = setting(
        "lstm",
        "What a layer is made of. lstm; gru: gated recurrent units; peephole: gates that see the cell state; "
        "coupled: an LSTM that forgets as much as it lets in.",
        choices=("lstm", "gru", "peephole", "coupled"),
    )
    num_lstm_units: int = setting(128, "Units of each layer.", minimum=1)
    num_lstm_layers: int = setting(1, "Layers, each feeding the next.", minimum=1)
    tie_weights: bool = setting(True, "Use the embedding again as output layer.")
    dropout: float = setting(0.5, "Share of cell outputs zeroed in training.", minimum=0.0, maximum=0.99)
    learning_rate: float = setting(0.02, "Peak learning rate of AdamW.", minimum=0.0)
    weight_decay: float = setting(0.01, "Weight decay of AdamW.", minimum=0.0)
    max_grad_norm: float = setting(1.0, "Gradients are clipped to this norm.", minimum=0.0)
    batch_size: int = setting(
        64, "Texts in a training batch; labels with few texts use smaller ones.", minimum=1
    )
    max_epochs: int = setting(15, "Passes over the training part at most.", minimum=1)
    warmup: float = setting(
        0.05, "Share of all steps in which the learning rate rises.", minimum=0.0, maximum=1.0
    )
    patience: int = setting(
        3, "Epochs without a better validation loss after which training stops.", minimum=1
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _checked(item.name, getattr(self, item.name), item.metadata)
            object.__setattr__(self, item.name, value)  # frozen for others


def _checked(name: str, value: Any, rules: Any) -> Any:
    """Return a value as plain Python data, a numpy scalar too."""
    if value is None and rules["optional"]:
        return None
    plain = value.item() if hasattr(value, "item") else value
    if rules["choices"] is not None:
        if plain not in rules["choices"]:
            raise OptionError(f"{name} must be one of {', '.join(rules['choices'])}, not {value!r}")
        return plain
    if rules["type"] is bool:
        if plain not in (False, True):
            raise OptionError(f"{name} must be true or false, not {value!r}")
        return bool(plain)
    if rules["type"] is str:
        if not isinstance(plain, str):
            raise OptionError(f"{name} must be a str, not {value!r}")
        return str(plain)
    whole = rules["type"] is int
    if (
        isinstance(plain, bool)
        or not isinstance(plain, (int, float))
        or not math.isfinite(plain)
        or (whole and int(plain) != plain)
    ):
        raise OptionError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
    minimum, maximum = rules["minimum"], rules["maximum"]
    if (minimum is not None and plain < minimum) or (maximum is not None and plain > maximum):
        bounds = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
        raise OptionError(f"{name} must be {bounds}, not {value!r}")
    return int(plain) if whole else float(plain)
