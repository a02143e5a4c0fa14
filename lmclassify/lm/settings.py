"""Settings of a language model and its training. Does not import torch, for the command line's sake."""

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
    """Declare a dataclass field with its help text and the rules by which its value is checked.

    Parameters
    ----------
    default : object
        Its type is the type of the setting, unless `optional` is given.
    minimum, maximum : float, optional
        Bounds, included.
    choices : tuple of str, optional
        Allowed values.
    optional : type, optional
        Type of a setting that may also be None.
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
    """Settings of a language model and its training. Lengths are in tokens, losses in nats per token."""

    max_length: int = setting(
        256,
        "Longest training sequence, in tokens. Recipe plain cuts longer texts; recipe tuned reads them in "
        "pieces of at most 128 tokens, unless `long_texts` is `truncate`.",
        minimum=2,
    )
    embedding_dim: int | None = setting(
        64,
        "Dimensions of the token embedding (`none`: fourth root of the vocabulary size).",
        minimum=1,
        optional=int,
    )
    cell: str = setting(
        "lstm",
        "Recurrent cell. `gru`: gated recurrent unit; `peephole`: LSTM whose gates see the cell state; "
        "`coupled`: LSTM with coupled input and forget gates.",
        choices=("lstm", "gru", "peephole", "coupled"),
    )
    num_lstm_units: int = setting(128, "Units of each layer.", minimum=1)
    num_lstm_layers: int = setting(1, "Number of recurrent layers.", minimum=1)
    tie_weights: bool = setting(True, "Use the embedding also as output layer.")
    dropout: float = setting(0.5, "Share of cell outputs set to zero in training.", minimum=0.0, maximum=0.99)
    learning_rate: float = setting(0.02, "Peak learning rate of AdamW.", minimum=0.0)
    weight_decay: float = setting(0.01, "Weight decay of AdamW.", minimum=0.0)
    max_grad_norm: float = setting(1.0, "Norm that gradients are clipped to.", minimum=0.0)
    batch_size: int = setting(
        64, "Texts per training batch; labels with few texts use smaller batches.", minimum=1
    )
    max_epochs: int = setting(15, "Maximum number of passes over the training texts.", minimum=1)
    warmup: float = setting(
        0.05, "Share of the training steps in which the learning rate rises.", minimum=0.0, maximum=1.0
    )
    patience: int = setting(
        3, "Stop training after this number of epochs without a lower validation loss.", minimum=1
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _checked(item.name, getattr(self, item.name), item.metadata)
            object.__setattr__(self, item.name, value)  # frozen for others


def _checked(name: str, value: Any, rules: Any) -> Any:
    """Return a valid value as plain Python data, converted from a numpy scalar if it is one.

    Raises OptionError if it breaks the rules of the setting.
    """
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
