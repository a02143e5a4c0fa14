"""Language models: they give a probability to every next token. They know no labels."""

from typing import TYPE_CHECKING

from lmclassify._lazy import lazy_attributes

if TYPE_CHECKING:
    from lmclassify.lm.inference.forward import NumpyLanguageModel
    from lmclassify.lm.neural.model import LanguageModel

__all__ = ["LanguageModel", "NumpyLanguageModel"]

__getattr__ = lazy_attributes(
    __name__,
    {"LanguageModel": "lmclassify.lm.neural.model", "NumpyLanguageModel": "lmclassify.lm.inference.forward"},
)
