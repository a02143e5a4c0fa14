"""The predictor: a fitted model's arrays and the scoring of texts (numpy; no torch, no scikit-learn).

`Predictor` is the interface of all recipes. `PlainPredictor` decides by the labels' LSTM language models
alone; `lmclassify.classify.tuned_predictor` combines them with n-gram models.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lmclassify.classify.data_frames import (
    TextColumn,
    Texts,
    is_data_frame,
    read_texts_of_model,
)
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.novelty import cross_entropies, plain_ood_features
from lmclassify.classify.online.lessons import MIN_LESSONS, Lessons
from lmclassify.classify.online.uniform_model import UniformModel
from lmclassify.classify.scoring import cut_texts, log_likelihoods
from lmclassify.classify.settings import Settings
from lmclassify.classify.texts import as_texts
from lmclassify.classify.thresholds import HeldOut, PositiveThreshold
from lmclassify.classify.variants import TextVariant
from lmclassify.datasets.reading import Reading
from lmclassify.errors import (
    LMClassifyWarning,
    OptionError,
    counted,
    did_you_mean,
    listing,
    shorten,
)
from lmclassify.lm.inference.directions import AnyLanguageModel, one_way
from lmclassify.lm.inference.forward import perplexity
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.parallel import number_of_threads
from lmclassify.text.display import percent, shown
from lmclassify.text.ngrams import Keys
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
_MAX_NAMES, _MAX_NAME = 6, 30
"""Labels that the repr names, and columns of a name: the repr is one line."""
LabelModel = AnyLanguageModel | TokenNgrams | UniformModel
"""The language model of a label: LSTMs, with recipe ngram a token n-gram model, with recipe online none."""


class TextScores(NamedTuple):
    """Everything that a model says about n texts; see `Predictor.score_texts`."""

    joint: Array
    """(n, K) joint log-probabilities, nats."""
    novelty: Array
    """(n,) see `Predictor.novelty`."""
    cross_entropies: Array
    """(n,) nats per word, to compare with those of held-out texts; see `lmclassify.classify.novelty`."""


class ScoringResult(NamedTuple):
    """What `Predictor.score` returns for n texts."""

    texts: list[str]
    """The texts as they were scored: cut where long_texts is ``truncate``."""
    joint: Array
    """(n, K) joint log-probabilities, nats."""
    log_likelihoods: Array
    """(n, K) nats: by the labels' LSTMs, or by their character n-gram models with recipe tuned."""
    ngram_scores: list[Array]
    """(n, K) each: the scores of the n-gram experts; empty with recipe plain."""
    variants: list[TextVariant | None]
    """The variant that decides each text; None for the text as it stands."""
    longer: npt.NDArray[np.bool_]
    """(n,) whether a text is longer than the training texts usually are, as far as that is known."""


@dataclass(kw_only=True, eq=False, repr=False)
class Predictor(ABC):
    """Labels, priors and one language model per label, and what is computed from them.

    The label with the largest joint log-probability is predicted.
    """

    classes_: npt.NDArray[Any]
    """(K,) the labels, sorted."""
    log_priors: Array
    """(K,) natural logarithms."""
    tokenizer: Tokenizer
    models: Sequence[LabelModel]
    """One per label, over one vocabulary."""
    settings: Settings
    label_weights: Array
    """(K,) sum of the weights of each label's texts; priors are computed from it."""
    held_out: HeldOut
    """Scores of held-out texts; thresholds are computed from them."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """The estimator's other parameters (class_prior, class_weight, random_state), as plain data."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of lmclassify and of the libraries that trained the model."""
    training: list[dict[str, Any]] = field(default_factory=list)
    """The training record: entries of kind ``fit`` (the whole), ``label`` and ``epoch`` (of a label)."""
    text_column: TextColumn | None = None
    """Name of the text column of the data frame that the model was fitted on; a list of names if several
    columns make a text."""
    lessons: Lessons | None = None
    """Texts learned one at a time since the fit; None: none."""
    reading: Reading = field(default_factory=Reading)
    """How the command line read the training texts."""
    n_jobs: int | None = None
    """Threads for scoring; None: all."""
    exact: bool = False
    """Score every label with its LSTM, with recipe tuned; see `lmclassify.classify.cascade`.

    Thresholds (`unknown_threshold`, `positive_threshold`) come from scores without it.
    """

    def __repr__(self) -> str:
        """Return labels, recipe, training texts, held-out accuracy and size as a line, as far as recorded."""
        labels = [shown(name, _MAX_NAME) for name in self.label_names[:_MAX_NAMES]]
        if len(self.classes_) > _MAX_NAMES:
            labels.append(f"and {len(self.classes_) - _MAX_NAMES:,} more")
        facts = [f"{counted(len(self.classes_), 'label')} ({', '.join(labels)})"]
        facts.append(f"recipe {self.settings.recipe}")
        facts += [counted(fit["texts"], "training text") for fit in self.training_entries("fit")]
        stages, changes = self.training_entries("stage"), self.training_entries("revision")
        if changes:
            facts.append(f"changed {counted(len(changes), 'time')} since")
        elif stages:  # a change of the model is not measured
            accuracy = percent(stages[-1]["accuracy"], stages[-1]["held_out_texts"])
            facts.append(f"held-out accuracy {accuracy}")
        facts.append(f"{self.num_parameters:,} parameters")
        return f"<{type(self).__name__}: {', '.join(facts)}>"

    @abstractmethod
    def score(self, texts: Texts) -> ScoringResult:
        """Return the joint log-probabilities of texts and what they were computed from."""

    @abstractmethod
    def ood_features(self, result: ScoringResult, log_posteriors: Array) -> Array:
        """Return the features that `novelty` averages, (n, S); see `lmclassify.classify.novelty`."""

    def lesson_scores(self, texts: Sequence[str]) -> Array:
        """Return what lessons add to the joint log-probabilities of prepared texts, (n, K) nats."""
        if self.lessons is None:
            return np.zeros((len(texts), len(self.classes_)))
        return self.lessons.scores(texts)

    @property
    def scores_variants(self) -> bool:
        """Whether a variant of a text may decide; see `lmclassify.classify.variants`."""
        return False

    @property
    def needs_lessons(self) -> bool:
        """Whether too little has been learned to label texts: only with recipe online, at its beginning."""
        if self.settings.recipe != "online":
            return False
        return self.lessons is None or int(self.lessons.per_label.min()) < MIN_LESSONS

    def texts_with(self, symbols: str, keys: Keys) -> Array:
        """Return how many training texts have each of some n-grams, as far as the model knows it."""
        return np.zeros(len(keys))

    def cross_entropies(self, result: ScoringResult, log_posteriors: Array) -> Array:
        """Return the nats per word of scored texts, (n,), to compare with those of held-out texts."""
        return cross_entropies(
            log_posteriors, result.log_likelihoods, result.texts, unspaced_words=self.unspaced_words
        )

    @property
    def unspaced_words(self) -> bool:
        """Whether `cross_entropies` knows words of scripts without spaces."""
        return False

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """Number of weights of all models together; shared ones count once."""

    def predict_joint_log_proba(self, texts: Texts) -> Array:
        """Return the final score of each text and label, (n, K) nats.

        Recipe plain: log prior + log-likelihood. Recipe tuned: the weighted sum of all experts' scores;
        unless `exact`, the LSTMs score only the labels that the n-gram models leave in question (see
        `lmclassify.classify.cascade`). A variant of the text may decide where a label may be disguised (see
        `lmclassify.classify.variants`).
        """
        return self.score(texts).joint

    def predict_log_proba(self, texts: Texts) -> Array:
        """Return the log posterior of each label, (n, K) nats."""
        return log_softmax(self.predict_joint_log_proba(texts))

    def predict_proba(self, texts: Texts) -> Array:
        """Return the posterior of each label, (n, K); rows sum to 1."""
        return np.exp(self.predict_log_proba(texts))

    def predict(self, texts: Texts) -> npt.NDArray[Any]:
        """Return the label of the largest joint log-probability for each text, (n,)."""
        labels: npt.NDArray[Any] = self.classes_[self.predict_joint_log_proba(texts).argmax(axis=1)]
        return labels

    def decision_function(self, texts: Texts) -> Array:
        """Return joint log-probabilities (n, K); for two labels the second's minus the first's, (n,)."""
        joint = self.predict_joint_log_proba(texts)
        return joint[:, 1] - joint[:, 0] if len(self.classes_) == 2 else joint

    def score_texts(self, texts: Texts) -> TextScores:
        """Return joint log-probabilities, novelty and cross-entropy of each text from one pass."""
        result = self.score(texts)
        log_posteriors = log_softmax(result.joint)
        features = self.ood_features(result, log_posteriors)
        nats = self.cross_entropies(result, log_posteriors)
        return TextScores(result.joint, self.held_out.novelty(features), nats)

    def novelty(self, texts: Texts) -> Array:
        """Return how unlike the training texts each text is, (n,): larger is newer, 0 is usual.

        The mean of standardized features, with the sign reversed. Recipe tuned: how much more likely the
        labels' n-gram language models make the text than single characters do, and how strongly a label's
        character SVM claims it. Recipe plain: how likely the text is. See `lmclassify.classify.novelty`.
        """
        return self.score_texts(texts).novelty

    def unknown_threshold(self, rate: float = 0.05) -> float:
        """Return the novelty above which a text is taken to belong to no label.

        Parameters
        ----------
        rate : float, default=0.05
            Share of held-out texts of the known labels that lie above the threshold.

        Raises
        ------
        OptionError
            If the rate is not from 0 to below 1.
        DataError
            If the model was fitted without held-out text.
        """
        return self.held_out.unknown_threshold(rate)

    def positive_threshold(self, positive: object, max_false_positive_rate: float) -> PositiveThreshold:
        """Return the lowest log-odds at which to predict a label without too many false positives.

        Parameters
        ----------
        positive : object
            One of `classes_`.
        max_false_positive_rate : float
            Largest share of held-out texts of other labels that may get the label.

        Raises
        ------
        OptionError
            If there is no such label, or the rate is not from 0 to below 1.
        DataError
            If the model was fitted without held-out text of other labels.
        """
        return self.held_out.positive_threshold(self.label_index(positive), max_false_positive_rate)

    def log_likelihood(self, texts: Texts) -> Array:
        """Return the log-likelihood of each text under each label's language model, (n, K) nats."""
        return self._log_likelihoods(self.prepare(texts), self.models)

    def perplexity(self, texts: Texts, label: object) -> float:
        """Return the perplexity of texts under one label's language model.

        Parameters
        ----------
        texts : iterable of str, or data frame
        label : object
            One of `classes_`.

        Returns
        -------
        float
            exp of the mean negative log-probability per token (end of text included) over all texts. With
            direction ``both``: the geometric mean of the two models' perplexities.
        """
        model = self.models[self.label_index(label)]
        prepared = self.prepare(texts)
        nats = self._log_likelihoods(prepared, [model])
        limit = self.settings.limit
        tokens = sum(len(sequence[:limit]) - 1 for sequence in self.tokenizer.sequences(prepared))
        return perplexity(-float(nats.sum()), tokens)

    def prepare(self, texts: Texts) -> list[str]:
        """Return texts checked, and cut where long_texts is ``truncate``; see `read` and `truncate`."""
        return self.truncate(self.read(texts))

    def read(self, texts: Texts) -> list[str]:
        """Return texts as a list of str.

        Of a data frame, this is the column that the model was fitted on, else the one that
        `lmclassify.classify.data_frames.recognise_text_column` finds; missing texts in it are empty. For
        other texts see `as_texts`. Raises DataError if there is no such column, or texts cannot be used.
        """
        if not is_data_frame(texts):
            return as_texts(texts)
        column, known = self.text_column, self.reading.text_columns
        if column is None and known and not {*known}.isdisjoint(texts.columns):  # known from the command line
            column = known[0] if len(known) == 1 else [*known]
        return as_texts(read_texts_of_model(texts, column))

    def truncate(self, texts: list[str]) -> list[str]:
        """Return texts, each cut after max_length tokens where long_texts is ``truncate``."""
        limit = self.settings.limit
        if limit is None:
            return texts
        cut, too_long = cut_texts(texts, self.tokenizer, limit)
        if too_long:
            warnings.warn(
                f"texts of more than {limit} tokens (max_length, beginning and end of text included) are "
                "scored by their beginning only, as long_texts='truncate' says",
                LMClassifyWarning,
                stacklevel=5,
            )
        return cut

    def _log_likelihoods(self, texts: list[str], models: Sequence[LabelModel]) -> Array:
        """Return log-likelihoods of prepared texts, (n, len(models)) nats."""
        return log_likelihoods(
            models,
            self.tokenizer.sequences(texts),
            max_length=self.settings.limit,
            threads=self.threads,
        )

    @property
    def threads(self) -> int:
        """Number of threads for scoring."""
        return number_of_threads(self.n_jobs)

    @property
    def field_names(self) -> list[str]:
        """The columns that make a text, one per line; none if a text is one column."""
        names = self.text_column if isinstance(self.text_column, list) else self.reading.text_columns or ()
        return list(map(str, names)) if len(names) > 1 else []

    @property
    def label_names(self) -> list[str]:
        """The labels as str."""
        return [str(label) for label in self.classes_]

    def label_named(self, name: str) -> Any:
        """Return the label with this name; labels may be numbers.

        Raises
        ------
        OptionError
            If there is none.
        """
        for label in self.classes_.tolist():
            if str(label) == name:
                return label
        similar = did_you_mean(name, self.classes_.tolist())
        known = listing(self.classes_)
        raise OptionError(f"no label {shorten(name)}{similar} in this model; there are: {known}")

    def label_index(self, label: object) -> int:
        """Return the index of a label in `classes_`.

        Raises
        ------
        OptionError
            If there is no such label.
        """
        for index, known in enumerate(self.classes_.tolist()):
            if known == label:
                return index
        similar = did_you_mean(label, self.classes_.tolist())
        known = listing(self.classes_)
        raise OptionError(f"no label {shorten(label)}{similar} in this model; there are: {known}")

    def training_entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the entries of one kind of the training record; there are none if it was lost."""
        return [entry for entry in self.training if entry["kind"] == kind]


@dataclass(kw_only=True, eq=False, repr=False)
class PlainPredictor(Predictor):
    """Decides by the labels' LSTM language models alone: Bayes' rule."""

    def score(self, texts: Texts) -> ScoringResult:
        """Return joint log-probabilities: log prior + log-likelihood, and what lessons add."""
        prepared = self.prepare(texts)
        likelihoods = self._log_likelihoods(prepared, self.models)
        n = len(prepared)
        joint = self.log_priors + likelihoods + self.lesson_scores(prepared)
        longer = np.zeros(n, dtype=bool)
        return ScoringResult(prepared, joint, likelihoods, [], [None] * n, longer)

    def ood_features(self, result: ScoringResult, log_posteriors: Array) -> Array:
        """Return the log-likelihood per character, (n, 1)."""
        return plain_ood_features(log_posteriors, result.log_likelihoods, result.texts)

    @property
    def num_parameters(self) -> int:
        """Number of weights of all language models; shared ones count once."""
        return count_weights(self.models)


def count_weights(models: Iterable[LabelModel]) -> int:
    """Return the number of weights of LSTM language models; arrays that they share count once."""
    lstms = [
        lstm
        for model in models
        if not isinstance(model, (TokenNgrams, UniformModel))
        for lstm in one_way(model)
    ]
    return sum({id(array): array.size for lstm in lstms for array in lstm.arrays.values()}.values())
