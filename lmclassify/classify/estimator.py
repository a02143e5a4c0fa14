"""The estimator: learns one language model per label (torch) and hands the rest to its fitted model."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from lmclassify import __version__
from lmclassify.classify.explain import Explanation, InformativeWord
from lmclassify.classify.incremental.add_label import add_label
from lmclassify.classify.incremental.remove_label import remove_label
from lmclassify.classify.incremental.update import update
from lmclassify.classify.model import FittedModel, PlainModel, TunedModel
from lmclassify.classify.next_words import Suggestion
from lmclassify.classify.predictor import as_texts
from lmclassify.classify.settings import Settings
from lmclassify.classify.thresholds import PositiveThreshold
from lmclassify.classify.training.checkpoints import Checkpoints
from lmclassify.classify.training.language_models import FitContext, ProgressCallback
from lmclassify.classify.training.recipes import TrainingData, learn_plain, learn_tuned
from lmclassify.classify.training.sampling import StreamedRemainder
from lmclassify.cluster.tasks import RayTasks
from lmclassify.errors import DataError, LMClassifyWarning, ModelError, OptionError, listing, shorten
from lmclassify.parallel import number_of_threads
from lmclassify.persistence.layout import CONFIG
from lmclassify.persistence.reading import summarize_error
from lmclassify.text.tokenizer import encodable

Array = npt.NDArray[np.float64]

_DEFAULT = Settings()
_INFINITE = (math.inf, -math.inf)
_READ_OF_LONG = {"forward": "beginning", "backward": "end", "both": "beginning and end"}


class LMClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify texts by one LSTM language model per label.

    A text gets the label with the largest log prior + summed log-probability of its tokens (and of its
    end) under the label's language model; in recipe ``tuned`` n-gram models of the labels have a say too.

    Parameters
    ----------
    recipe : {"tuned", "plain"}, default="tuned"
        ``tuned``: a background language model adapted to each label, n-gram models beside, all tuned
        by conditional likelihood, combined and calibrated on held-out text. ``plain``: independent
        language models trained by maximum likelihood. See `lmclassify.classify.training.recipes`.
    tokenizer : {"auto", "subword", "word", "char"}, default="auto"
        Of the language models; see `lmclassify.text.tokenizer`. ``auto``: words,
        or subwords where words leave most of the held-out text unknown; subwords with recipe ``plain``.
    direction : {"forward", "backward", "both"}, default="forward"
        How the language models read a text; of ``both``, each label has two, whose log-likelihoods are
        averaged. See `lmclassify.lm.inference.directions`. `suggest` needs a forward one.
    vocab_size : int or None, default=None
        Words, subwords or characters learnt at most. None: 4,000 words, else 1,000.
    lowercase : bool or None, default=None
        Fold letter case. None: with words only.
    max_length : int
        Longest sequence that training reads, in tokens (beginning and end of text included). Longer
        ones are cut, with a warning; backward models then read their ends.
    long_texts : {"chunk", "truncate"}, default="chunk"
        How longer texts are scored: as a whole, read piece by piece, or by their beginning only, with
        a warning.
    embedding_dim : int or None
        None: the fourth root of the vocabulary size, as in the notebook.
    cell : {"lstm", "gru", "peephole", "coupled"}, default="lstm"
        What the layers of the language models are made of; `lmclassify.lm.neural.cells` has the formulas.
    num_lstm_units, num_lstm_layers : int
    tie_weights : bool
        Use the embedding as output layer too.
    dropout : float
        Share of cell outputs zeroed in training.
    learning_rate, weight_decay : float
        Of AdamW.
    max_grad_norm : float
    batch_size : int
        Texts in a training batch; labels with few texts use smaller ones.
    max_epochs, patience : int
        Training ends after `max_epochs`, or `patience` epochs without a better validation loss; the
        best weights are kept.
    warmup : float
        Share of steps in which the learning rate rises; then it falls as a half cosine.
    disguised_label : str, default="auto"
        The label whose writers disguise their texts, with recipe ``tuned``: spelling that no filter
        knows, words of other labels added. Of several readings of a text that decides which speaks most
        for it; see `lmclassify.classify.variants`. ``auto``: the label spam, if there is one; ``none``.
    validation_fraction : float
        Share of each label's texts held out to stop training (and, in recipe ``tuned``, to learn the
        combination). A label with a single text has none. With fewer than 2,000 texts, or 0, recipe
        ``tuned`` cross-fits instead: models of one part score the other, and the final ones learn from
        every text.
    keep_held_out : bool, default=False
        Keep a sample of at most some thousand held-out texts in the model, with recipe ``tuned``:
        `add_label` fits a new label in beside them, and else beside texts sampled from the other labels.
    fit_prior : bool, default=True
        Learn priors from the labels' frequencies; else all are equal.
    class_prior : array-like of float, (K,), or mapping of label to float, optional
        Priors to use instead, positive; they are scaled to sum to 1.
    class_weight : mapping of label to float or "balanced", optional
        Multiplies the weights of a label's texts, and so changes the priors.
    random_state : int, RandomState or None
    n_jobs : int or None
        Threads. None: all processors. Results do not depend on it.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where training runs.
    callback : callable, optional
        Called as ``callback(label, record)`` with an `lmclassify.lm.neural.trainer.EpochRecord` after each
        epoch of each label's model, in the thread that trained it. The label is "all labels" while the
        background model trains, and None while all are tuned together.

    Attributes
    ----------
    classes_ : ndarray, (K,)
    class_log_prior_ : ndarray of float, (K,)
    model_ : FittedModel
        What has been learnt. It can be used and loaded without torch and scikit-learn.
    """

    def __init__(
        self,
        *,
        recipe: str = _DEFAULT.recipe,
        tokenizer: str = _DEFAULT.tokenizer,
        direction: str = _DEFAULT.direction,
        vocab_size: int | None = _DEFAULT.vocab_size,
        lowercase: bool | None = _DEFAULT.lowercase,
        max_length: int = _DEFAULT.max_length,
        long_texts: str = _DEFAULT.long_texts,
        embedding_dim: int | None = _DEFAULT.embedding_dim,
        cell: str = _DEFAULT.cell,
        num_lstm_units: int = _DEFAULT.num_lstm_units,
        num_lstm_layers: int = _DEFAULT.num_lstm_layers,
        tie_weights: bool = _DEFAULT.tie_weights,
        dropout: float = _DEFAULT.dropout,
        learning_rate: float = _DEFAULT.learning_rate,
        weight_decay: float = _DEFAULT.weight_decay,
        max_grad_norm: float = _DEFAULT.max_grad_norm,
        batch_size: int = _DEFAULT.batch_size,
        max_epochs: int = _DEFAULT.max_epochs,
        patience: int = _DEFAULT.patience,
        warmup: float = _DEFAULT.warmup,
        disguised_label: str = _DEFAULT.disguised_label,
        validation_fraction: float = _DEFAULT.validation_fraction,
        keep_held_out: bool = _DEFAULT.keep_held_out,
        fit_prior: bool = _DEFAULT.fit_prior,
        class_prior: npt.ArrayLike | Mapping[Any, float] | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        device: str = "auto",
        callback: ProgressCallback | None = None,
    ) -> None:
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.direction = direction
        self.vocab_size = vocab_size
        self.lowercase = lowercase
        self.max_length = max_length
        self.long_texts = long_texts
        self.embedding_dim = embedding_dim
        self.cell = cell
        self.num_lstm_units = num_lstm_units
        self.num_lstm_layers = num_lstm_layers
        self.tie_weights = tie_weights
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.warmup = warmup
        self.disguised_label = disguised_label
        self.validation_fraction = validation_fraction
        self.keep_held_out = keep_held_out
        self.fit_prior = fit_prior
        self.class_prior = class_prior
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.callback = callback

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def fit(
        self,
        X: Iterable[str],
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        unlabelled: Iterable[str] | None = None,
        checkpoints: Checkpoints | None = None,
        cluster: RayTasks | None = None,
        rest: StreamedRemainder | None = None,
    ) -> LMClassifier:
        """Learn a language model for each label.

        Ctrl-C ends training early and keeps the best weights so far, with a warning. Before every label
        has a model it raises KeyboardInterrupt.

        Parameters
        ----------
        X : iterable of str, (n,)
            A list, numpy array or pandas Series.
        y : array-like, (n,)
            Labels: str, int, float or bool.
        sample_weight : array-like of float, (n,), optional
            Not negative. Counts in the loss and in the priors.
        unlabelled : iterable of str, optional
            More texts of the same sort, whose labels nobody knows: recipe ``tuned`` trains its
            background model on them too.
        checkpoints : Checkpoints, optional
            Where training notes how far it has come. The model is the same as without.
        cluster : RayTasks, optional
            Train language models and count n-grams on a Ray cluster (`lmclassify.cluster.tasks.ray_tasks`
            connects to one). The model is the same as without, unless several processes train each language
            model together.
        rest : StreamedRemainder, optional
            More labelled texts, of which recipe ``tuned`` counts the n-grams in their files; see
            `lmclassify.classify.training.sampling.sample_tables`.

        Returns
        -------
        LMClassifier
            Itself.

        Raises
        ------
        DataError
            If texts or labels cannot be used (a ValueError).
        OptionError
            If a parameter makes no sense, or the checkpoints are another fit's (a ValueError).
        """
        started = datetime.now(UTC)
        clock = time.perf_counter()
        settings = self._settings()
        if cluster is not None and self.device == "cuda":
            raise OptionError("training on a Ray cluster uses processors: device must be auto or cpu")
        course = self._course(settings)
        if cluster is not None:
            course.device, course.cluster = "cpu", cluster
        texts = as_texts(X)
        more = [] if unlabelled is None else as_texts(unlabelled)
        if settings.keep_held_out and settings.recipe != "tuned":
            message = "recipe plain keeps no held-out texts: it needs none to add a label"
            warnings.warn(message, LMClassifyWarning, stacklevel=2)
        if settings.disguised_label not in ("auto", "none") and settings.recipe != "tuned":
            message = "recipe plain reads every text as it stands: disguised_label changes nothing"
            warnings.warn(message, LMClassifyWarning, stacklevel=2)
        if more and settings.recipe != "tuned":
            raise OptionError("unlabelled texts train the background model, which only recipe 'tuned' has")
        if rest is not None and settings.recipe != "tuned":
            raise OptionError("the texts of files have their n-grams counted, which only recipe 'tuned' does")
        classes, codes = _classes_and_codes(y, len(texts))
        names = [str(label) for label in classes.tolist()]
        if settings.disguised_label not in ("auto", "none", *names):
            raise OptionError(
                f"disguised_label must be auto, none or a label ({listing(names)}), "
                f"not {shorten(settings.disguised_label)}"
            )
        others = np.array([0 if rest is None else rest.counts.get(label, 0) for label in classes.tolist()])
        factors = self._class_factors(classes, np.bincount(codes) + others)
        weights, weighted = self._weights(codes, factors, sample_weight)
        class_weights = np.bincount(codes, weights, minlength=len(classes)) + others * factors
        _require_texts(classes, class_weights)
        log_priors = self._log_priors(classes, class_weights, settings)

        kept = np.flatnonzero(weights > 0)
        lesson = TrainingData(
            texts=[texts[index] for index in kept],
            classes=classes,
            codes=codes[kept],
            weights=weights[kept] if weighted else None,
            log_frequencies=np.log(class_weights / class_weights.sum()),
            log_priors=log_priors,
            seed=self._seed(),
            unlabelled=more,
            others=[] if rest is None else rest.shards(classes.tolist(), factors),
            number_of_others=int(others.sum()),
        )
        if checkpoints is not None:
            checkpoints.begin(self._what_decides(lesson, settings, course, rest))
            course.checkpoints = checkpoints
        learnt = (learn_tuned if settings.recipe == "tuned" else learn_plain)(lesson, course)
        if learnt.cut:
            read = "beginning" if settings.long_texts == "truncate" else _READ_OF_LONG[settings.direction]
            warnings.warn(
                f"{learnt.cut:,} of {learnt.read:,} texts are longer than max_length ({settings.max_length} "
                f"tokens); training of the language models reads their {read} only",
                LMClassifyWarning,
                stacklevel=2,
            )
        fit = {
            "kind": "fit",
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - clock, 3),
            "texts": len(texts) + int(others.sum()),
            "texts_cut": learnt.cut,
        }
        self.classes_ = classes
        self.class_log_prior_ = log_priors
        common: dict[str, Any] = {
            "classes_": classes,
            "log_priors": log_priors,
            "tokenizer": learnt.tokenizer,
            "models": learnt.models,
            "settings": settings,
            "held_out": learnt.held_out,
            "label_weights": class_weights,
            "parameters": self._plain_parameters(),
            "versions": _versions(),
            "training": [fit, *learnt.records],
            "n_jobs": self.n_jobs,
        }
        self.model_: FittedModel = (
            PlainModel(**common) if learnt.tuned is None else TunedModel(**common, **vars(learnt.tuned))
        )
        return self

    def _what_decides(
        self, lesson: TrainingData, settings: Settings, course: FitContext, rest: StreamedRemainder | None
    ) -> dict[str, Any]:
        """Return all that what is learnt depends on, as plain data; texts by their SHA-256."""

        def digest(*parts: object) -> str:
            found = hashlib.sha256()
            for part in parts:
                content = part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")
                found.update(len(content).to_bytes(8, "little") + content)
            return found.hexdigest()

        weights = None if lesson.weights is None else lesson.weights.tobytes()
        return {
            **asdict(settings),
            "labels": digest(lesson.classes.tolist(), lesson.codes.tobytes(), weights),
            "priors": digest(lesson.log_priors.tobytes(), lesson.log_frequencies.tobytes()),
            "texts": digest(*lesson.texts),
            "unlabelled texts": digest(*lesson.unlabelled),
            "other texts": None if rest is None else rest.digest,
            "seed": lesson.seed,
            "device": course.device,
            "shards": 1 if course.cluster is None else course.cluster.shards,
            "versions": _versions(),
        }

    def _settings(self) -> Settings:
        return Settings(**{item.name: getattr(self, item.name) for item in fields(Settings)})

    def _plain_parameters(self) -> dict[str, Any]:
        """Return the parameters outside `Settings` that JSON can hold."""
        plain: dict[str, Any] = {}
        prior = self.class_prior
        if prior is not None:
            plain["class_prior"] = (
                _pairs(prior) if isinstance(prior, Mapping) else np.asarray(prior, dtype=float).tolist()
            )
        if self.class_weight is not None:
            weight = self.class_weight
            plain["class_weight"] = _pairs(weight) if isinstance(weight, Mapping) else weight
        if isinstance(self.random_state, (int, np.integer)):
            plain["random_state"] = int(self.random_state)
        return plain

    def _weights(self, codes: npt.NDArray[np.intp], factors: Array, sample_weight: Any) -> tuple[Array, bool]:
        """Return each text's weight and whether any differs from 1."""
        weights = np.ones(len(codes))
        if sample_weight is not None:
            weights = np.array(sample_weight, dtype=np.float64)
            if weights.shape != codes.shape:
                raise DataError(f"sample_weight must hold one number for each of {len(codes)} texts")
            if not (np.isfinite(weights) & (weights >= 0)).all():
                raise DataError("sample_weight must hold finite numbers that are not negative")
        weights *= factors[codes]
        return weights, bool((weights != 1).any())

    def _class_factors(self, classes: npt.NDArray[Any], texts: npt.NDArray[np.int64]) -> Array:
        """Return what each label's weights are multiplied by, (K,), from the labels' numbers of texts."""
        if isinstance(self.class_weight, Mapping):
            unknown = set(self.class_weight) - set(classes.tolist())
            if unknown:
                raise OptionError(
                    f"class_weight names {listing(map(shorten, unknown))}; "
                    f"labels there are: {listing(classes)}"
                )
            by_class = np.array([float(self.class_weight.get(label, 1.0)) for label in classes.tolist()])
            if not (np.isfinite(by_class) & (by_class > 0)).all():
                raise OptionError("class_weight must hold positive, finite numbers")
            return by_class
        if self.class_weight == "balanced":
            balanced: Array = texts.sum() / (len(texts) * texts)
            return balanced
        if self.class_weight is not None:
            raise OptionError(f"class_weight must be a mapping or 'balanced', not {self.class_weight!r}")
        return np.ones(len(classes))

    def _log_priors(self, classes: npt.NDArray[Any], class_weights: Array, settings: Settings) -> Array:
        if self.class_prior is not None:
            given = self.class_prior
            if isinstance(given, Mapping):
                if set(given) != set(classes.tolist()):
                    raise OptionError(
                        f"class_prior must name every label ({listing(classes)}), not {listing(given)}"
                    )
                given = [given[label] for label in classes.tolist()]
            priors = np.asarray(given, dtype=np.float64)
            if priors.shape != classes.shape:
                raise OptionError(f"class_prior must hold {len(classes)} numbers, one a label")
            if not (np.isfinite(priors).all() and (priors > 0).all()):
                raise OptionError("class_prior must hold positive numbers")
        else:
            priors = class_weights if settings.fit_prior else np.ones(len(classes))
        log_priors: Array = np.log(priors / priors.sum())
        return log_priors

    def add_label(self, label: Any, X: Iterable[str]) -> LMClassifier:
        """Learn one label more; the other labels' models stay as they are.

        No text of the other labels is needed: with recipe ``tuned`` the new one is told from held-out texts
        that the model has kept (`keep_held_out`), or from texts sampled from their language models. Without
        kept texts, thresholds take what it makes of held-out ones to be what it makes of those sampled.

        Parameters
        ----------
        label : str, int, float or bool
            Of the others' type, and none of them.
        X : iterable of str, (n,)
            Its texts, at least one.

        Returns
        -------
        LMClassifier
            Itself.

        Raises
        ------
        DataError
            If texts cannot be used, or the label is there already or of another type.
        """
        model = self._fitted()
        texts = as_texts(X)
        known = model.classes_.tolist()
        label = _plain(label)
        if label in known:
            raise DataError(f"label {shorten(label)} is there already: update it, or remove it first")
        if type(label) is not type(known[0]) or label != label:
            raise DataError(
                f"label {shorten(label)} is no {type(known[0]).__name__}, as the other labels are"
            )
        together = np.array([*known, label])
        broken = isinstance(label, str) and encodable(label) != label
        kept = together.dtype.kind in "Uifb" and together.tolist() == [*known, label]
        if broken or not kept or label in _INFINITE:
            raise DataError(f"label {shorten(label)} cannot be kept beside the others as it is")
        if not texts:
            raise DataError(f"no texts to learn label {shorten(label)} from")
        return self._changed_to(add_label(model, label, texts, self._course(model.settings), self._seed()))

    def update(
        self, X: Iterable[str], y: Iterable[Any], learned_as: Iterable[Any] | None = None
    ) -> LMClassifier:
        """Learn from some more texts, corrections say; models of labels not named stay as they are.

        Parameters
        ----------
        X : iterable of str, (n,)
        y : iterable, (n,)
            Labels that the classifier has.
        learned_as : iterable, (n,), optional
            The label that had wrongly learnt each text, which then unlearns it; None for none.

        Returns
        -------
        LMClassifier
            Itself.

        Raises
        ------
        DataError
            If texts or labels cannot be used.
        """
        model = self._fitted()
        texts, labels = as_texts(X), [_plain(label) for label in y]
        wrong = [None] * len(texts) if learned_as is None else [_plain(label) for label in learned_as]
        if not len(texts) == len(labels) == len(wrong):
            raise DataError(f"found {len(texts)} texts, {len(labels)} labels and {len(wrong)} in learned_as")
        known = model.classes_.tolist()
        for row, (label, unlearnt) in enumerate(zip(labels, wrong, strict=True)):
            for name in (label, *([] if unlearnt is None else [unlearnt])):
                if name not in known:
                    raise DataError(f"row {row}: no label {shorten(name)}; there are: {listing(known)}")
            if unlearnt is not None and label == unlearnt:
                raise DataError(f"row {row}: {shorten(label)} cannot both learn and unlearn a text")
        if not texts:
            return self
        if not isinstance(model, TunedModel) and any(unlearnt is not None for unlearnt in wrong):
            warnings.warn(
                "with recipe plain a wrong lesson cannot be unlearnt: only the label's prior changes",
                LMClassifyWarning,
                stacklevel=2,
            )
        return self._changed_to(
            update(model, texts, labels, wrong, self._course(model.settings), self._seed())
        )

    def remove_label(self, label: Any) -> LMClassifier:
        """Forget one label; the other labels' models stay as they are.

        Raises
        ------
        DataError
            If there is no such label, or no other.
        """
        model = self._fitted()
        known, label = model.classes_.tolist(), _plain(label)
        if label not in known:
            raise DataError(f"no label {shorten(label)}; there are: {listing(known)}")
        if len(known) == 1:
            raise DataError(f"{shorten(label)} is the only label; a model needs one")
        return self._changed_to(remove_label(model, label))

    def _course(self, settings: Settings) -> FitContext:
        return FitContext(settings, _device(self.device), number_of_threads(self.n_jobs), self.callback)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _changed_to(self, model: FittedModel) -> LMClassifier:
        self.classes_, self.class_log_prior_, self.model_ = model.classes_, model.log_priors, model
        return self

    def log_likelihood(self, X: Iterable[str]) -> Array:
        """See `FittedModel.log_likelihood`."""
        return self._fitted().log_likelihood(X)

    def predict_joint_log_proba(self, X: Iterable[str]) -> Array:
        """See `FittedModel.predict_joint_log_proba`."""
        return self._fitted().predict_joint_log_proba(X)

    def predict_log_proba(self, X: Iterable[str]) -> Array:
        """See `FittedModel.predict_log_proba`."""
        return self._fitted().predict_log_proba(X)

    def predict_proba(self, X: Iterable[str]) -> Array:
        """See `FittedModel.predict_proba`."""
        return self._fitted().predict_proba(X)

    def predict(self, X: Iterable[str]) -> npt.NDArray[Any]:
        """See `FittedModel.predict`."""
        return self._fitted().predict(X)

    def decision_function(self, X: Iterable[str]) -> Array:
        """See `FittedModel.decision_function`."""
        return self._fitted().decision_function(X)

    def perplexity(self, X: Iterable[str], label: object) -> float:
        """See `FittedModel.perplexity`."""
        return self._fitted().perplexity(X, label)

    def suggest(self, prefix: str, label: object = None, n: int = 5) -> list[Suggestion]:
        """See `FittedModel.suggest`."""
        return self._fitted().suggest(prefix, label, n)

    def generate(self, label: object, n: int = 1, **options: Any) -> list[str]:
        """See `FittedModel.generate`; without a seed, an integer random_state is the seed."""
        if isinstance(self.random_state, (int, np.integer)):
            options.setdefault("seed", int(self.random_state))
        return self._fitted().generate(label, n, **options)

    def explain(self, text: str, label: object = None, against: object = None) -> Explanation:
        """See `FittedModel.explain`."""
        return self._fitted().explain(text, label, against)

    def novelty(self, X: Iterable[str]) -> Array:
        """See `FittedModel.novelty`."""
        return self._fitted().novelty(X)

    def unknown_threshold(self, rate: float = 0.05) -> float:
        """See `FittedModel.unknown_threshold`."""
        return self._fitted().unknown_threshold(rate)

    def positive_threshold(self, positive: object, max_false_positive_rate: float) -> PositiveThreshold:
        """See `FittedModel.positive_threshold`."""
        return self._fitted().positive_threshold(positive, max_false_positive_rate)

    def informative_words(self, X: Iterable[str], n: int = 10) -> dict[str, list[InformativeWord]]:
        """See `FittedModel.informative_words`."""
        return self._fitted().informative_words(X, n)

    def save(self, path: str | os.PathLike[str]) -> None:
        """See `FittedModel.save`."""
        self._fitted().save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LMClassifier:
        """Read a saved model as a fitted estimator; see `FittedModel.load`.

        Parameters that are no plain data (a RandomState, a callback) are the defaults again.
        """
        model = FittedModel.load(path)
        parameters = dict(model.parameters)
        try:
            for name in ("class_prior", "class_weight"):
                if isinstance(parameters.get(name), dict):
                    parameters[name] = {pair["label"]: pair["value"] for pair in parameters[name]["pairs"]}
            classifier = cls(**asdict(model.settings), **parameters)
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"{Path(path) / CONFIG} holds parameters of no estimator: {summarize_error(error)}; "
                "make it again"
            ) from error
        classifier.classes_ = model.classes_
        classifier.class_log_prior_ = model.log_priors
        classifier.model_ = model
        return classifier

    def _fitted(self) -> FittedModel:
        check_is_fitted(self)
        model: FittedModel = self.model_
        model.n_jobs = self.n_jobs
        return model


def _plain(label: Any) -> Any:
    """Return a label as plain Python data, a numpy scalar too."""
    return label.item() if isinstance(label, np.generic) else label


def _pairs(mapping: Mapping[Any, float]) -> dict[str, Any]:
    """Return a mapping as plain data that keeps the type of its keys, which JSON objects do not."""
    pairs = [{"label": np.asarray(label).item(), "value": float(value)} for label, value in mapping.items()]
    return {"pairs": pairs}


def _classes_and_codes(y: Any, n: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the sorted labels (K,) and the index of each text's label among them (n,)."""
    if y is None:
        raise DataError("LMClassifier requires y to be passed, but the target y is None")
    array = np.asarray(y) if hasattr(y, "dtype") else np.asarray(y, dtype=object)
    labels = np.asarray(column_or_1d(array, warn=True)).tolist()
    if len(labels) != n:
        raise DataError(f"found {n} texts but {len(labels)} labels: inconsistent numbers of samples")
    if n == 0:
        raise DataError("no texts to learn from: found 0 samples, while a minimum of 1 is required")
    for row, label in enumerate(labels):
        if not isinstance(label, (str, Number)) or label != label:
            raise DataError(f"label {row} is {shorten(label)}; labels must be str, int, float or bool")
    distinct = set(labels)
    if len({isinstance(label, str) for label in distinct}) > 1:
        raise DataError("labels mix str with numbers; make them all str")
    broken = [label for label in distinct if isinstance(label, str) and encodable(label) != label]
    if broken:
        raise DataError(f"label {shorten(broken[0])} holds half of a surrogate pair, which is no text")
    if any(isinstance(label, str) and label.endswith("\0") for label in distinct):
        raise DataError("a label ends in a NUL character; numpy cannot tell it from the one without")
    classes = np.array(sorted(distinct))
    if classes.dtype.kind not in "Uifb":
        raise DataError("labels must be str, int, float or bool")
    if classes.dtype.kind == "f":
        check_classification_targets(classes)  # refuses numbers that are no classes
    place = {label: code for code, label in enumerate(classes.tolist())}
    return classes, np.array([place[label] for label in labels], dtype=np.intp)


def _require_texts(classes: npt.NDArray[Any], class_weights: Array) -> None:
    if (class_weights <= 0).any():
        without = classes[class_weights <= 0]
        raise DataError(f"all texts of these labels have weight 0: {listing(without)}")


def _device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise OptionError(f"device must be one of auto, cpu, cuda, not {name!r}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise OptionError("device is cuda, but torch finds no CUDA device here; use cpu or auto")
    return "cuda" if available and name != "cpu" else "cpu"


def _versions() -> dict[str, str]:
    return {
        "lmclassify": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }
