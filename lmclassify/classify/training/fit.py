"""Fits a model: checks texts, labels and weights, runs a recipe, and records how the model was made.

`lmclassify.LMClassifier.fit` and ``lmclassify fit`` both use `ClassifierTrainer`.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import hashlib
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.utils import check_random_state

from lmclassify import __version__
from lmclassify.classify.model import FittedModel
from lmclassify.classify.settings import Settings, lstm_options_error
from lmclassify.classify.texts import as_texts
from lmclassify.classify.training.checkpoints import Checkpoints
from lmclassify.classify.training.context import FitContext, FitResult, ProgressCallback, SizeLimits
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.device import check_device
from lmclassify.classify.training.groups import encode_groups, repeated_text_groups
from lmclassify.classify.training.labels import class_factors, encode_labels, log_priors, text_weights
from lmclassify.classify.training.ngram_stage import fit_ngram
from lmclassify.classify.training.online import fit_online
from lmclassify.classify.training.progress import Display, FitProgress
from lmclassify.classify.training.sampling import StreamedRemainder
from lmclassify.classify.training.time_limit import TimeLimit
from lmclassify.classify.training.tuned import fit_tuned
from lmclassify.cluster.tasks import RayTasks
from lmclassify.errors import (
    DataError,
    LMClassifyWarning,
    OptionError,
    counted,
    listing,
    plural,
    shorten,
)
from lmclassify.parallel import number_of_threads
from lmclassify.text.word_vectors import load_word_vectors

if TYPE_CHECKING:
    from lmclassify.lm.neural.trainer import EpochRecord

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Labels = npt.NDArray[Any]

_PART_READ = {"forward": "beginning", "backward": "end", "both": "beginning and end"}


@dataclass(kw_only=True)
class ClassifierTrainer:
    """Fits models on texts and labels.

    It does what `lmclassify.LMClassifier.fit` does, and can also train on a Ray cluster, resume an
    interrupted fit, and count the n-grams of texts that stay in their files.

    Parameters
    ----------
    settings : Settings
    class_prior, class_weight, random_state, n_jobs, device, callback
        See `lmclassify.LMClassifier`.
    checkpoints : Checkpoints, optional
        Checkpoint store; an interrupted fit resumes from it. The fitted model is the same as without.
    cluster : RayTasks, optional
        Train language models and count n-grams on a Ray cluster; see `lmclassify.cluster.tasks.ray_tasks`.
        The fitted model is the same as without, unless several processes train each language model.
    limits : SizeLimits, optional
    on_stage : callable, optional
        Gets the fitted model of each stage as soon as it is complete, the last one included.
    time_limit : TimeLimit, optional
        The wall time that the fit may take. Only with it, the fitted model depends on the clock.
    display : Display, optional
        Shows the progress.
    files : sequence of str
        Names of the training files, for the training record.
    """

    settings: Settings
    class_prior: npt.ArrayLike | Mapping[Any, float] | None = None
    class_weight: Mapping[Any, float] | str | None = None
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None
    device: str = "auto"
    callback: ProgressCallback | None = None
    checkpoints: Checkpoints | None = None
    cluster: RayTasks | None = None
    limits: SizeLimits = field(default_factory=SizeLimits)
    on_stage: Callable[[FittedModel], object] = lambda model: None
    time_limit: TimeLimit | None = None
    display: Display | None = None
    files: Sequence[str] = ()

    def fit(
        self,
        texts: Iterable[str],
        labels: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        unlabelled: Iterable[str] | None = None,
        remainder: StreamedRemainder | None = None,
        groups: Iterable[Any] | None = None,
    ) -> FittedModel:
        """Fit a model.

        Parameters
        ----------
        texts : iterable of str, (n,)
        labels : array-like, (n,)
            str, int, float or bool.
        sample_weight : array-like of float, (n,), optional
        unlabelled : iterable of str, optional
            Further texts, of which recipes tuned and ngram learn; see `self_training`.
        remainder : StreamedRemainder, optional
            More labelled texts, whose n-grams recipe tuned counts in their files; see
            `lmclassify.classify.training.sampling.sample_tables`.
        groups : iterable of str or int, (n,), optional
            See `lmclassify.LMClassifier.fit`. Not with `remainder`.

        Returns
        -------
        FittedModel

        Raises
        ------
        DataError
            If texts, labels or weights cannot be used (a ValueError).
        OptionError
            If a parameter is invalid, or the checkpoints are those of another fit (a ValueError).
        TrainingError
            If the time limit is too short for a model.
        KeyboardInterrupt
            If interrupted. Recipe plain keeps the best weights so far, with a warning, if every label has a
            model.
        """
        started, clock = datetime.now(UTC), time.perf_counter()
        context = self._context()
        read = as_texts(texts)
        data = self._training_data(read, labels, sample_weight, unlabelled, remainder, groups)
        if self.checkpoints is not None:
            self.checkpoints.begin(_fingerprint(data, context, remainder))
        fitted: list[FittedModel] = []

        def complete(result: FitResult) -> None:
            """Add to the model how it was made."""
            entry = {
                "kind": "fit",
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(time.perf_counter() - clock, 3),
                "texts": len(read) + data.remainder_size,
                "texts_cut": result.texts_cut,
                **({"files": list(self.files)} if self.files else {}),
            }
            model = replace(
                result.model,
                parameters=self._plain_parameters(),
                versions=_versions(),
                training=[entry, *result.model.training],
                n_jobs=self.n_jobs,
            )
            fitted.append(model)
            self.on_stage(model)

        context.on_stage = complete
        result = _recipe(self.settings.recipe)(data, context)
        self._warn_cut(result)
        context.commit(result)
        return fitted[-1]

    def _context(self) -> FitContext:
        if self.cluster is not None and self.device == "cuda":
            raise OptionError("training on a Ray cluster uses processors: device must be auto or cpu")
        check_device(self.device)
        if self.settings.recipe in ("ngram", "online"):
            given = [*self.settings.given_for_lstms(), *(["device"] if self.device == "cuda" else [])]
            if given:
                raise lstm_options_error(given)
        progress = FitProgress(self.display)

        def on_epoch(label: Any, record: EpochRecord) -> None:
            progress.epoch(label, record)
            if self.callback is not None:
                self.callback(label, record)

        settings, vectors = self.settings, None
        if settings.recipe in ("tuned", "ngram"):
            vectors = load_word_vectors(settings.vectors)
            if settings.vectors == "auto":
                settings = replace(settings, vectors="none" if vectors is None else "wordllama")
        return FitContext(
            settings,
            self.device if self.cluster is None else "cpu",
            number_of_threads(self.n_jobs),
            on_epoch,
            checkpoints=self.checkpoints,
            cluster=self.cluster,
            limits=self.limits,
            time_limit=self.time_limit,
            progress=progress,
            vectors=vectors,
        )

    def _training_data(
        self,
        texts: list[str],
        labels: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        unlabelled: Iterable[str] | None,
        remainder: StreamedRemainder | None,
        groups: Iterable[Any] | None,
    ) -> TrainingData:
        """Return the data after all checks; texts of weight 0 are left out."""
        unlabelled = [] if unlabelled is None else as_texts(unlabelled)
        self._check_recipe(unlabelled, remainder)
        classes, codes = encode_labels(labels, len(texts))
        self._check_disguised_label(classes)
        remaining = np.array(
            [0 if remainder is None else remainder.counts.get(label, 0) for label in classes.tolist()]
        )
        factors = class_factors(self.class_weight, classes, np.bincount(codes) + remaining)
        weights = text_weights(sample_weight, len(texts)) * factors[codes]
        label_weights = np.bincount(codes, weights, minlength=len(classes)) + remaining * factors
        if (label_weights <= 0).any():
            raise DataError(
                f"all texts of these labels have weight 0: {listing(classes[label_weights <= 0])}"
            )
        priors = log_priors(self.class_prior, classes, label_weights, self.settings.fit_prior)
        kept = np.flatnonzero(weights > 0)
        kept_texts = [texts[index] for index in kept]
        return TrainingData(
            texts=kept_texts,
            classes=classes,
            codes=codes[kept],
            weights=weights[kept] if (weights != 1).any() else None,
            label_weights=label_weights,
            log_priors=priors,
            seed=draw_seed(self.random_state),
            unlabelled=unlabelled,
            remainder=[] if remainder is None else remainder.shards(classes.tolist(), factors),
            remainder_size=int(remaining.sum()),
            groups=self._groups(groups, kept_texts, kept, len(texts), remainder),
        )

    def _groups(
        self,
        groups: Iterable[Any] | None,
        kept_texts: list[str],
        kept: Codes,
        n: int,
        remainder: StreamedRemainder | None,
    ) -> Codes | None:
        """Return the groups given, or those of equal texts if many repeat others."""
        if groups is None:
            # Recipe plain combines nothing; texts in files are not compared.
            automatic = self.settings.recipe != "plain" and remainder is None
            return repeated_text_groups(kept_texts) if automatic else None
        if remainder is not None:
            raise OptionError("groups need all texts in memory: leave them out with texts in files")
        return np.unique(encode_groups(groups, n)[kept], return_inverse=True)[1].astype(np.intp)

    def _check_recipe(self, unlabelled: list[str], remainder: StreamedRemainder | None) -> None:
        """Refuse data that the recipe does not use; warn of settings that change nothing."""
        if self.settings.recipe not in ("tuned", "ngram") and unlabelled:
            raise OptionError("unlabelled texts are of use to recipes 'tuned' and 'ngram' only")
        if self.settings.recipe != "plain":
            return
        if self.settings.keep_held_out:
            message = "recipe plain keeps no held-out texts: it needs none to add a label"
            warnings.warn(message, LMClassifyWarning, stacklevel=5)
        if self.settings.disguised_label not in ("auto", "none"):
            message = "recipe plain scores every text as it stands: disguised_label changes nothing"
            warnings.warn(message, LMClassifyWarning, stacklevel=5)
        if self.settings.vectors not in ("auto", "none"):
            message = "recipe plain has no n-gram model of word vectors: vectors changes nothing"
            warnings.warn(message, LMClassifyWarning, stacklevel=5)
        if remainder is not None:
            raise OptionError("the n-grams of texts in files are counted, which recipe 'plain' does not")

    def _check_disguised_label(self, classes: Labels) -> None:
        names = [str(label) for label in classes.tolist()]
        if self.settings.disguised_label not in ("auto", "none", *names):
            raise OptionError(
                f"disguised_label must be auto, none or a label ({listing(names)}), "
                f"not {shorten(self.settings.disguised_label)}"
            )

    def _warn_cut(self, result: FitResult) -> None:
        if not result.texts_cut:
            return
        settings = self.settings
        part = "beginning" if settings.long_texts == "truncate" else _PART_READ[settings.direction]
        warnings.warn(
            f"{result.texts_cut:,} of {counted(result.texts, 'text')} "
            f"{plural(result.texts_cut, 'is', 'are')} longer than max_length "
            f"({settings.max_length} tokens); training of the language models reads their {part} only",
            LMClassifyWarning,
            stacklevel=4,
        )

    def _plain_parameters(self) -> dict[str, Any]:
        """Return the parameters outside `Settings` that JSON can hold."""
        plain: dict[str, Any] = {}
        prior, weight = self.class_prior, self.class_weight
        if prior is not None:
            plain["class_prior"] = (
                _pairs(prior) if isinstance(prior, Mapping) else np.asarray(prior, dtype=float).tolist()
            )
        if weight is not None:
            plain["class_weight"] = _pairs(weight) if isinstance(weight, Mapping) else weight
        if isinstance(self.random_state, (int, np.integer)):
            plain["random_state"] = int(self.random_state)
        return plain


def _recipe(name: str) -> Callable[[TrainingData, FitContext], FitResult]:
    """Return the function that fits a recipe."""
    if name == "ngram":
        return fit_ngram
    if name == "tuned":
        return fit_tuned
    if name == "online":
        return fit_online
    from lmclassify.classify.training.plain import fit_plain  # torch

    return fit_plain


def _pairs(mapping: Mapping[Any, float]) -> dict[str, Any]:
    """Return a mapping as plain data that keeps the type of its keys, which JSON objects do not."""
    pairs = [{"label": np.asarray(label).item(), "value": float(value)} for label, value in mapping.items()]
    return {"pairs": pairs}


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return the seed of a fit."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _fingerprint(
    data: TrainingData, context: FitContext, remainder: StreamedRemainder | None
) -> dict[str, Any]:
    """Return everything that the fitted model depends on, as plain data; texts by their SHA-256."""

    def digest(*parts: object) -> str:
        found = hashlib.sha256()
        for part in parts:
            content = part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")
            found.update(len(content).to_bytes(8, "little") + content)
        return found.hexdigest()

    weights = None if data.weights is None else data.weights.tobytes()
    return {
        **asdict(context.settings),
        "labels": digest(data.classes.tolist(), data.codes.tobytes(), weights),
        "priors": digest(data.log_priors.tobytes(), data.log_frequencies.tobytes()),
        "texts": digest(*data.texts),
        "groups": None if data.groups is None else digest(data.groups.tobytes()),
        "unlabelled texts": digest(*data.unlabelled),
        "other texts": None if remainder is None else remainder.digest,
        "seed": data.seed,
        "device": context.device,
        "shards": 1 if context.cluster is None else context.cluster.shards,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {
        "lmclassify": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }
