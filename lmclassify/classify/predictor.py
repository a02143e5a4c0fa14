"""The fitted model: everything but learning, in numpy, without torch or scikit-learn.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import LSTMS, Combination, log_softmax
from lmclassify.classify.explain import (
    Explanation,
    InformativeWord,
    attribute,
    explanation,
    informative_words,
    most_words,
)
from lmclassify.classify.novelty import cross_entropies, in_distribution_score, plain_in_distribution_score
from lmclassify.classify.scoring import (
    asked_log_likelihoods,
    chunks_of,
    cut_texts,
    log_likelihoods,
    ngram_background,
    ngram_scores,
)
from lmclassify.classify.settings import Settings
from lmclassify.classify.storage import from_stored, to_stored
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts, PositiveThreshold
from lmclassify.classify.variants import TextVariant, decided, word_model
from lmclassify.errors import (
    DataError,
    LMClassifyWarning,
    OptionError,
    listing,
    shorten,
)
from lmclassify.lm.inference.directions import AnyLanguageModel, DirectedLanguageModel, one_way
from lmclassify.lm.inference.forward import NumpyLanguageModel, perplexity
from lmclassify.lm.inference.generation import next_words, sample
from lmclassify.lm.inference.interpolation import Interpolation, NextTokenModel
from lmclassify.lm.ngram.models import NgramModel
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.parallel import number_of_threads
from lmclassify.persistence.model_folder import read_model, write_model
from lmclassify.text.tokenizer import Tokenizer, encodable

Array = npt.NDArray[np.float64]


class Suggestion(TypedDict):
    """A likely next word."""

    word: str
    probability: float


class Scored(NamedTuple):
    """What a model makes of n texts."""

    joint: Array
    """(n, K) joint log-probabilities, nats."""
    novelty: Array
    """(n,) see `FittedModel.novelty`."""
    cross_entropies: Array
    """(n,) nats per word, to compare with those of held-out texts; see `lmclassify.classify.novelty`."""


class ScoringResult(NamedTuple):
    """What a model with a combination makes of n texts."""

    joint: Array
    """(n, K) joint log-probabilities, nats."""
    scores: list[Array]
    """(n, K) each: the n-gram models' scores of the texts as they stand."""
    readings: list[TextVariant | None]
    """Which reading of each text decides; None for the text as it stands."""


@dataclass
class FittedModel:
    """Labels, priors and one language model a label: what `LMClassifier.fit` makes and files hold.

    The joint log-probability of a text and a label is the log prior of the label plus the text's
    log-likelihood under the label's language model; with a combination, the same after tuning, beside
    n-gram models. The label with the largest one is predicted.
    """

    classes_: npt.NDArray[Any]
    """(K,) the labels, sorted."""
    log_priors: Array
    """(K,) natural logarithms."""
    tokenizer: Tokenizer
    models: list[AnyLanguageModel]
    """One a label, over one vocabulary, maximum likelihood."""
    settings: Settings
    label_weights: Array
    """(K,) sums of the weights of the labels' texts, which priors come from."""
    held_out: HeldOut
    """Scores of texts not learnt from, which thresholds come from."""
    background: AnyLanguageModel | None = None
    """Of all labels' texts together, and of unlabelled ones; the models were adapted from it."""
    tuned: list[AnyLanguageModel] = field(default_factory=list)
    """One a label, tuned by conditional likelihood; used where there is a combination."""
    token_ngrams: list[TokenNgrams] = field(default_factory=list)
    """One a label, over the language models' tokens, or none: `suggest` and `generate` have them beside."""
    subwords: Tokenizer | None = None
    """What the n-gram models take for subwords."""
    ngrams: list[NgramModel] = field(default_factory=list)
    combination: Combination | None = None
    """How the experts decide together; without it the language models decide alone."""
    held_out_texts: HeldOutTexts | None = None
    """Some of these texts, where they were to be kept."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What else the estimator was made with (class_prior, class_weight, random_state), as plain data."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of lmclassify and the libraries that trained."""
    training: list[dict[str, Any]] = field(default_factory=list)
    """The training record: entries of kind ``fit`` (the whole), ``label`` and ``epoch`` (of a label)."""
    n_jobs: int | None = None
    """Threads for scoring; None: all."""
    exact: bool = False
    """Ask every label's language model about every text, if there are two labels or more and it has a weight.

    Thresholds (`unknown_threshold`, `positive_threshold`) come from scores as they are without it.
    """

    def log_likelihood(self, texts: Iterable[str]) -> Array:
        """Return the log-likelihood of each text under each label's language model, (n, K) nats."""
        return self._score(texts, self.models)[0]

    def _score(
        self, texts: Iterable[str], models: Sequence[AnyLanguageModel]
    ) -> tuple[Array, npt.NDArray[np.int64]]:
        """Return log-likelihoods (n, len(models)) and the number of tokens scored of each text (n,)."""
        sequences = self.tokenizer.sequences(self.texts_to_score(as_texts(texts)))
        lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        limit = self.limit
        if limit is not None:
            lengths = np.minimum(lengths, limit)
        nats = log_likelihoods(models, sequences, max_length=limit, threads=number_of_threads(self.n_jobs))
        return nats, lengths - 1

    def predict_joint_log_proba(self, texts: Iterable[str]) -> Array:
        """Return the final score of each text and label, (n, K) nats.

        Log prior + log-likelihood; with a combination, its weighted sum of all experts' scores. Unless
        `exact`, language models are asked only about labels that the n-gram models leave in question; see
        `lmclassify.classify.ensemble.Combination`. Where a label may be disguised, another reading of the
        text may decide; see `lmclassify.classify.variants`.
        """
        if self.combination is None:
            return self.log_priors + self.log_likelihood(texts)
        return self.judge(self.texts_to_score(as_texts(texts))).joint

    def judge(self, texts: list[str]) -> ScoringResult:
        """Return what decides of texts after `texts_to_score`; needs a combination."""
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        if len(places) < len(texts):  # equal texts are scored once
            found = self.judge(list(places))
            back = [places[text] for text in texts]
            return ScoringResult(
                found.joint[back],
                [of_expert[back] for of_expert in found.scores],
                [found.readings[place] for place in back],
            )
        joint, scores = self._decide(texts)
        joint, readings = self.score_variants(texts, joint)
        return ScoringResult(joint, scores, readings)

    def score_variants(self, texts: Sequence[str], joint: Array) -> tuple[Array, list[TextVariant | None]]:
        """Return what decides of texts after `texts_to_score` where other readings are looked at.

        Parameters
        ----------
        texts : sequence of str, (n,)
        joint : ndarray, (n, K)
            Joint log-probabilities of the texts as they stand.

        Returns
        -------
        joint : ndarray, (n, K)
        readings : list of TextVariant or None
            None for the text as it stands.
        """
        label = self.settings.disguised_among(self.label_names)
        if label is None or self.combination is None:
            return joint, [None] * len(texts)
        words = word_model(self.ngrams)
        prior_shift = self.log_priors - np.log(self.label_weights / self.label_weights.sum())
        parts = [
            decided(texts[chunk], joint[chunk], label, words, self.foretold, prior_shift)
            for chunk in chunks_of(texts)
        ]
        return (
            np.concatenate([joint[:0], *(of_chunk for of_chunk, _ in parts)]),
            [reading for _, of_chunk in parts for reading in of_chunk],
        )

    def foretold(self, texts: list[str]) -> Array:
        """Return joint log-probabilities, (n, K), as the n-gram models foretell them; needs a combination."""
        assert self.combination is not None
        assert self.subwords is not None
        threads = number_of_threads(self.n_jobs)
        scores = ngram_scores(self.ngrams, texts, self.subwords.sequences(texts), threads=threads)
        return self.combination.foretold(self.combination.of_ngrams(scores))

    def _decide(self, texts: list[str]) -> tuple[Array, list[Array]]:
        """Return joint log-probabilities and the n-gram models' scores of texts after `texts_to_score`."""
        assert self.combination is not None
        assert self.subwords is not None
        subwords = self.subwords.sequences(texts)
        scores = ngram_scores(self.ngrams, texts, subwords, threads=number_of_threads(self.n_jobs))
        of_ngrams = self.combination.of_ngrams(scores)
        contested = self.contested(of_ngrams, [len(sequence) for sequence in subwords])
        asked = np.flatnonzero(contested.any(axis=1))
        of_lstms = np.zeros(contested.shape)
        of_lstms[asked] = self.combination.of_lstms(
            self._lstm_scores([texts[index] for index in asked.tolist()], contested[asked])
        )
        return self.combination.together(of_ngrams, contested, of_lstms), scores

    def contested(self, of_ngrams: Array, lengths: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return which labels of each text LSTMs are asked about, (n, K); see `Combination.contested`."""
        assert self.combination is not None
        combination = replace(self.combination, gap=math.inf) if self.exact else self.combination
        return combination.contested(of_ngrams, lengths)

    def expert_scores(self, texts: list[str]) -> list[Array]:
        """Return the scores of the combination's experts, (n, K) each, of texts after `texts_to_score`."""
        assert self.subwords is not None
        threads = number_of_threads(self.n_jobs)
        scores = ngram_scores(self.ngrams, texts, self.subwords.sequences(texts), threads=threads)
        everything = np.ones((len(texts), len(self.classes_)), dtype=bool)
        return [*scores, *self._lstm_scores(texts, everything)]

    def _lstm_scores(self, texts: list[str], asked: npt.NDArray[np.bool_]) -> list[Array]:
        """Return the scores of the experts `LSTMS` that have a weight; 0 where not asked for."""
        assert self.combination is not None
        weights = self.combination.weights[-len(LSTMS) :]
        experts = [
            models for models, weight in zip((self.models, self.tuned), weights, strict=True) if weight > 0
        ]
        if not experts:
            return [np.zeros(asked.shape) for _ in LSTMS]
        found = asked_log_likelihoods(
            [model for models in experts for model in models],
            self.tokenizer.sequences(texts),
            np.tile(asked, (1, len(experts))),
            max_length=self.limit,
            threads=number_of_threads(self.n_jobs),
        )
        scores = iter(np.hsplit(found, len(experts)))
        return [next(scores) if weight > 0 else np.zeros(asked.shape) for weight in weights]

    def score_texts(self, texts: Iterable[str]) -> Scored:
        """Return all that can be said of each text at once; see `Scored`."""
        texts = self.texts_to_score(as_texts(texts))
        if self.combination is None:
            likelihoods = self.log_likelihood(texts)
            joint = self.log_priors + likelihoods
            log_posteriors = log_softmax(joint)
            signals = plain_in_distribution_score(log_posteriors, likelihoods, texts)
        else:
            joint, scores, _ = self.judge(texts)
            likelihoods = scores[1]
            log_posteriors = log_softmax(joint)
            signals = in_distribution_score(log_posteriors, scores, *ngram_background(self.ngrams[0], texts))
        nats = cross_entropies(log_posteriors, likelihoods, texts)
        return Scored(joint, self.held_out.novelty(signals), nats)

    def novelty(self, texts: Iterable[str]) -> Array:
        """Return how unlike anything learnt each text is, (n,): larger is newer, 0 is usual.

        The mean of standardised signals, with their sign turned. In recipe ``tuned``: how much likelier the
        text is by its labels' language models than by single characters, and how strongly a label claims
        it; in recipe ``plain``: how likely it is. See `lmclassify.classify.novelty`.
        """
        return self.score_texts(texts).novelty

    def unknown_threshold(self, rate: float = 0.05) -> float:
        """Return the novelty above which a text fits none of the labels.

        Parameters
        ----------
        rate : float, default=0.05
            Share of texts of the known labels that are taken for unknown, on held-out text.

        Raises
        ------
        OptionError
            If the rate is not from 0 to below 1.
        DataError
            If the model was fitted without held-out text.
        """
        return self.held_out.unknown_threshold(rate)

    def positive_threshold(self, positive: object, max_false_positive_rate: float) -> PositiveThreshold:
        """Return from which log-odds on to give a label so that few texts of others get it.

        Parameters
        ----------
        positive : object
            One of `classes_`.
        max_false_positive_rate : float
            Largest share of held-out texts of other labels that get it.

        Raises
        ------
        OptionError
            If there is no such label, or the rate is not from 0 to below 1.
        DataError
            If the model was fitted without held-out text of other labels.
        """
        return self.held_out.positive_threshold(self._index(positive), max_false_positive_rate)

    @property
    def limit(self) -> int | None:
        """How many tokens of a text count, beginning of text included; None: all."""
        return self.settings.limit

    def texts_to_score(self, texts: list[str]) -> list[str]:
        """Return texts, each cut after max_length tokens where long_texts is ``truncate``."""
        limit = self.limit
        if limit is None:
            return texts
        cut, too_long = cut_texts(texts, self.tokenizer, limit)
        if too_long:
            self._warn_truncated(4)
        return cut

    def _warn_truncated(self, stacklevel: int) -> None:
        warnings.warn(
            f"texts of more than {self.limit} tokens (max_length, beginning and end of text included) are "
            "scored by their beginning only, as long_texts='truncate' says",
            LMClassifyWarning,
            stacklevel=stacklevel,
        )

    def predict_log_proba(self, texts: Iterable[str]) -> Array:
        """Return the log posterior of each label, (n, K) nats."""
        return log_softmax(self.predict_joint_log_proba(texts))

    def predict_proba(self, texts: Iterable[str]) -> Array:
        """Return the posterior of each label, (n, K); rows sum to 1."""
        return np.exp(self.predict_log_proba(texts))

    def predict(self, texts: Iterable[str]) -> npt.NDArray[Any]:
        """Return the label of the largest joint log-probability for each text, (n,)."""
        labels: npt.NDArray[Any] = self.classes_[self.predict_joint_log_proba(texts).argmax(axis=1)]
        return labels

    def decision_function(self, texts: Iterable[str]) -> Array:
        """Return joint log-probabilities (n, K); of two labels the second's minus the first's, (n,)."""
        joint = self.predict_joint_log_proba(texts)
        return joint[:, 1] - joint[:, 0] if len(self.classes_) == 2 else joint

    def perplexity(self, texts: Iterable[str], label: object) -> float:
        """Return the perplexity of texts under one label's language model.

        Parameters
        ----------
        texts : iterable of str
        label : object
            One of `classes_`.

        Returns
        -------
        float
            exp of the mean negative log-probability per token (end of text included) over all texts. With
            direction ``both``: the geometric mean of the two models' perplexities.
        """
        nats, tokens = self._score(texts, [self.models[self._index(label)]])
        return perplexity(-float(nats.sum()), int(tokens.sum()))

    def suggest(self, prefix: str, label: object = None, n: int = 5) -> list[Suggestion]:
        """Return the likeliest next words after the words of an unfinished text.

        Parameters
        ----------
        prefix : str
            Its words are taken as complete; "" asks for first words.
        label : object, optional
            Ask this label's language model (with an n-gram model of the label beside it, where there is
            one, half and half). By default all labels', mixed by how likely each is given the prefix.
        n : int, default=5
            How many words at most.

        Returns
        -------
        list of dict
            ``word`` and ``probability``, likeliest first. What is missing to 1 belongs to other words, to
            the end of the text and, with tokens that are words, to all words that are not known.

        Raises
        ------
        OptionError
            If the model has no such label or reads texts backward only, or `n` is below 1.
        """
        if n < 1:
            raise OptionError(f"n must be at least 1, not {n}")
        forward = self.forward_models("suggest")
        sequence = self.tokenizer.sequences(as_texts([prefix]))[0]
        begun = sequence[:-1]  # the text goes on: its end is not scored
        if label is None:
            joint = (self.log_priors + log_likelihoods(forward, [begun]))[0]
            labels, weights = list(range(len(forward))), joint - np.logaddexp.reduce(joint)
        else:
            labels, weights = [self._index(label)], np.zeros(1)
        models = [self.next_token_model(index) for index in labels]
        words = next_words(models, weights, self.tokenizer, begun, n)
        return [Suggestion(word=word, probability=probability) for word, probability in words]

    def generate(
        self,
        label: object,
        n: int = 1,
        *,
        prefix: str = "",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        max_tokens: int = 100,
        seed: int | None = None,
    ) -> list[str]:
        """Return texts sampled from one label's language model, the one that `suggest` asks.

        Parameters
        ----------
        label : object
            One of `classes_`.
        n : int, default=1
            How many texts.
        prefix : str, default=""
            What each text begins with; its words are taken as complete.
        temperature, top_k, top_p, max_tokens, seed
            See `lmclassify.lm.inference.generation.sample`. The same seed gives the same texts.

        Returns
        -------
        list of str
            Spaces and letter case are those that the tokenizer keeps: single spaces, and with tokens that are
            words the usual ones around punctuation.

        Raises
        ------
        OptionError
            If the model has no such label, or an option makes no sense.
        """
        if n < 1:
            raise OptionError(f"n must be at least 1, not {n}")
        model = self.next_token_model(self._index(label), "generate")
        prefix = as_texts([prefix])[0]
        begun = self.tokenizer.sequences([prefix])[0][:-1]
        texts = sample(
            model,
            self.tokenizer,
            begun,
            n,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            max_tokens=max_tokens,
            seed=seed,
        )
        return [self.tokenizer.decode(text, after=prefix.rstrip()) for text in texts]

    def next_token_model(self, index: int, purpose: str = "suggest") -> NextTokenModel:
        """Return what `suggest` and `generate` ask for the label of that index; see `forward_models`."""
        forward = self.forward_models(purpose)[index]
        return Interpolation([forward, self.token_ngrams[index]]) if self.token_ngrams else forward

    def forward_models(self, purpose: str) -> list[NumpyLanguageModel]:
        """Return the labels' models that read a text from its beginning, maximum likelihood.

        Raises
        ------
        OptionError
            If there are none; it names what they are needed for.
        """
        forward = [
            model.forward if isinstance(model, DirectedLanguageModel) else model for model in self.models
        ]
        found = [model for model in forward if model is not None]
        if len(found) < len(forward):
            raise OptionError(
                f"{purpose} needs language models that read forward; this model's read backward only: "
                "fit with direction forward or both"
            )
        return found

    def explain(self, text: str, label: object = None, against: object = None) -> Explanation:
        """Say why a text has its label: what each word adds to the decision.

        Parameters
        ----------
        text : str
        label : object, optional
            The label to explain; by default the predicted one.
        against : object, optional
            The label to hold it against; by default the likeliest of the others.

        Returns
        -------
        dict
            See `Explanation`. Parts, in nats, sum to the joint log-probabilities; labels are given as str.

        Raises
        ------
        OptionError
            If the model has no such label, or both are the same.
        """
        chosen = [None if name is None else self._index(name) for name in (label, against)]
        if against is not None and len(self.classes_) == 1:
            raise OptionError("a model with one label has no other to hold it against")
        if chosen[0] is not None and chosen[0] == chosen[1]:
            raise OptionError(f"label {shorten(label)} cannot be held against itself")
        shares, most = next(attribute(self, as_texts([text]))), most_words(len(self.classes_))
        if len(shares.spans) > most:
            rest = len(shares.spans) - most + 1
            message = f"the last {rest:,} of {len(shares.spans):,} words are explained as one"
            warnings.warn(message, LMClassifyWarning, stacklevel=2)
        return explanation(shares, self.label_names, *chosen)

    def informative_words(self, texts: Iterable[str], n: int = 10) -> dict[str, list[InformativeWord]]:
        """Return the words of some texts that speak most for each label.

        Parameters
        ----------
        texts : iterable of str
        n : int, default=10
            How many words of each label at most.

        Returns
        -------
        dict of str to list of dict
            By label; ``word``, ``count``, ``part`` (mean) and ``total`` in nats, largest total first.
        """
        if n < 1:
            raise OptionError(f"n must be at least 1, not {n}")
        return informative_words(attribute(self, as_texts(texts)), self.label_names, n)

    @property
    def label_names(self) -> list[str]:
        """The labels as str."""
        return [str(label) for label in self.classes_]

    def label_named(self, name: str) -> Any:
        """Return the label that is called so; labels may be numbers.

        Raises
        ------
        OptionError
            If there is none.
        """
        for label in self.classes_.tolist():
            if str(label) == name:
                return label
        raise OptionError(f"no label {shorten(name)} in this model; there are: {listing(self.classes_)}")

    def _index(self, label: object) -> int:
        for index, known in enumerate(self.classes_.tolist()):
            if known == label:
                return index
        raise OptionError(f"no label {shorten(label)} in this model; there are: {listing(self.classes_)}")

    def save(self, path: str | os.PathLike[str], *, replaces: str | None = None) -> None:
        """Write the model into a folder; see `lmclassify.persistence.model_folder`.

        Parameters
        ----------
        path : path
        replaces : str, optional
            Write only if the model there is still this one; see
            `lmclassify.persistence.model_folder.checksum_of`.

        Raises
        ------
        OutputError
            If the folder holds something else than a model, or cannot be written.
        """
        write_model(path, to_stored(self), replaces=replaces)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FittedModel:
        """Read a model from a folder.

        Raises
        ------
        ModelError
            If there is none, it is damaged, or a newer version made it.
        """
        return cls(**from_stored(read_model(path)))

    def training_entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the entries of one kind of the training record; there are none if it was lost."""
        return [entry for entry in self.training if entry["kind"] == kind]

    @cached_property
    def num_parameters(self) -> int:
        """Weights of all models together, shared ones once."""
        background = [] if self.background is None else [self.background]
        lstms = [part for model in [*self.models, *self.tuned, *background] for part in one_way(model)]
        weights = {
            id(array): array.size for part in lstms for array in part.arrays.values()
        }  # some are shared
        ngrams = sum(model.num_parameters for model in self.ngrams)
        return sum(weights.values()) + ngrams + sum(model.num_parameters for model in self.token_ngrams)


def as_texts(texts: object) -> list[str]:
    """Return texts as a list of str.

    Parameters
    ----------
    texts : iterable of str
        A list, tuple, pandas Series or one-dimensional numpy array, say. "" is a text. Lone surrogates,
        which are no characters, are read as U+FFFD.

    Raises
    ------
    DataError
        If it is a single string or has two dimensions, or an item is missing or no str.
    """
    if isinstance(texts, (str, bytes)):
        raise DataError(f"expected several texts (a list, say), got one string: {shorten(texts)}")
    if getattr(texts, "ndim", 1) != 1:
        raise DataError(f"expected one-dimensional texts, got {texts.ndim} dimensions; pass one column")  # type: ignore[attr-defined]
    if not isinstance(texts, Iterable) or isinstance(texts, dict):
        raise DataError(f"expected several texts (a list, say), got {type(texts).__name__}")
    items: Sequence[Any] = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    for row, item in enumerate(items):
        if not isinstance(item, str):
            missing = item is None or type(item).__name__ in ("NAType", "NaTType") or item != item
            problem = "is missing (None or NaN)" if missing else f"is no str: {shorten(item)}"
            raise DataError(f"text {row} {problem}; every text must be a str (an empty one is fine)")
    return [encodable(item if type(item) is str else str(item)) for item in items]


def load(path: str | os.PathLike[str]) -> FittedModel:
    """Read a fitted model from a folder: all but fitting, without torch or scikit-learn.

    Raises
    ------
    ModelError
        If there is none, it is damaged, or a newer version made it.
    """
    return FittedModel.load(path)
