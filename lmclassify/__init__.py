"""Train a classifier of short texts, and see exactly which words decide."""

from lmclassify._lazy import lazy_attributes
from lmclassify.errors import (
    DataError,
    DownloadError,
    LMClassifyError,
    LMClassifyWarning,
    ModelError,
    OptionError,
    OutputError,
    TrainingError,
)

TYPE_CHECKING = False  # not from typing, whose import takes a tenth of the mail filter's time
if TYPE_CHECKING:
    from lmclassify.classify.estimator import LMClassifier
    from lmclassify.classify.model import FittedModel, load
    from lmclassify.datasets.bundled import bundled_data

__version__ = "0.7.0"

__all__ = [
    "DataError",
    "DownloadError",
    "FittedModel",
    "LMClassifier",
    "LMClassifyError",
    "LMClassifyWarning",
    "ModelError",
    "OptionError",
    "OutputError",
    "TrainingError",
    "__version__",
    "bundled_data",
    "load",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "LMClassifier": "lmclassify.classify.estimator",
        "FittedModel": "lmclassify.classify.model",
        "load": "lmclassify.classify.model",
        "bundled_data": "lmclassify.datasets.bundled",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
