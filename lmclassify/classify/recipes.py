"""The recipes: from labelled texts to what a fitted model holds.

*plain*: an LSTM language model per label, each by itself, maximum likelihood; Bayes' rule.

*tuned*:

1. n-gram models over characters, subwords and words, by likelihood and tuned, with cross-fitted scores;
2. a background language model of all labels' texts, adapted to each label (maximum likelihood), over
   subwords and over words: held-out text decides which;
3. all labels' language models tuned together by conditional likelihood;
4. one log-linear combination of all of them, learnt on held-out scores.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.calibration import LSTM, TUNED_LSTM, Combination
from lmclassify.classify.combining import add_experts, learn_combination, log_loss
from lmclassify.classify.folds import deal
from lmclassify.classify.language_models import Course, Part, new_trainer, train
from lmclassify.classify.ngrams import learn_ngram_models
from lmclassify.classify.scoring import log_likelihoods
from lmclassify.classify.settings import Settings
from lmclassify.classify.tuning import EPOCHS, ConditionalTuner, Weights, labels_to_compare
from lmclassify.errors import LMClassifyWarning, listing
from lmclassify.lm.inference import NumpyLanguageModel
from lmclassify.lm.ngram import NgramModel
from lmclassify.lm.training import Trainer
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer, TokenizerKind

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

BACKGROUND = "all labels"
"""What the progress callback is told instead of a label while the background model trains."""

_VOCABULARY = {"subword": 1000, "word": 4000, "char": 1000}
_FOLDS, _FOLDS_OF_FEW = 5, 10
_FEW = 2000  # texts below which language models are cross-fitted, so that none is lost to validation
_LM_FOLDS = 2
_ADAPTATION_SHARE = 0.1  # of the learning rate: little moves, or few texts soon undo what all have taught
_ADAPTATION_PATIENCE = 2


@dataclass
class Lesson:
    """Labelled texts."""

    texts: list[str]
    classes: npt.NDArray[Any]
    """(K,) the labels, sorted."""
    codes: Codes
    """(n,) the index of each text's label."""
    weights: Array | None
    """(n,) of the texts; None where all are 1."""
    log_frequencies: Array
    """(K,) logarithms of the labels' shares, texts weighted."""
    log_priors: Array
    """(K,) those that a decision is to assume."""
    seed: int


@dataclass
class Learnt:
    """What a recipe makes, in the fields of `lmclassify.classify.fitted.FittedModel`."""

    tokenizer: Tokenizer
    models: list[NumpyLanguageModel]
    records: list[dict[str, Any]]
    background: NumpyLanguageModel | None = None
    tuned: list[NumpyLanguageModel] = field(default_factory=list)
    subwords: Tokenizer | None = None
    ngrams: list[NgramModel] = field(default_factory=list)
    combination: Combination | None = None
    cut: int = 0
    """Texts of which training read the beginning only."""


def learn_plain(lesson: Lesson, course: Course) -> Learnt:
    """Learn the recipe "plain".

    Raises
    ------
    KeyboardInterrupt
        If interrupted before every label has a model; later, the best so far is kept, with a warning.
    """
    settings = course.settings
    parts = [
        _split(label, np.flatnonzero(lesson.codes == code), settings.validation_fraction, [lesson.seed, code])
        for code, label in enumerate(lesson.classes)
    ]
    learnt_from = np.sort(np.concatenate([part.training for part in parts]))
    kind: TokenizerKind = "subword" if settings.tokenizer == "auto" else settings.tokenizer  # type: ignore[assignment]
    tokenizer = _tokenizer(kind, [lesson.texts[index] for index in learnt_from], settings)
    sequences = tokenizer.sequences(lesson.texts)
    trainers = [new_trainer(part, sequences, lesson.weights, tokenizer, course) for part in parts]
    jobs = list(zip(lesson.classes, trainers, strict=True))
    try:
        train(jobs, course)
    except KeyboardInterrupt:
        if not all(trainer.records for trainer in trainers):
            raise
        _keep(jobs)
    return Learnt(
        tokenizer=tokenizer,
        models=[NumpyLanguageModel(trainer.model.arrays()) for trainer in trainers],
        records=_records(parts, trainers),
        cut=_count_cut(sequences, settings),
    )


def learn_tuned(lesson: Lesson, course: Course) -> Learnt:
    """Learn the recipe "tuned".

    Raises
    ------
    KeyboardInterrupt
        If interrupted before every label has a language model; later, the best so far is kept, with a
        warning.
    """
    labels = len(lesson.classes)
    if labels == 1:  # nothing to tell apart
        return learn_plain(lesson, course)
    subwords = Tokenizer.train("subword", lesson.texts, _VOCABULARY["subword"])
    rng = np.random.default_rng([lesson.seed, labels])
    few = len(lesson.texts) < _FEW
    ngrams, held_out = learn_ngram_models(
        lesson.texts,
        subwords.sequences(lesson.texts),
        lesson.codes,
        labels,
        deal(lesson.codes, _FOLDS_OF_FEW if few and labels < 50 else _FOLDS, rng),
        weights=lesson.weights,
        seed=lesson.seed,
        threads=course.threads,
    )
    combination = learn_combination(
        [name for model in ngrams for name in model.score_names],
        held_out,
        lesson.codes,
        lesson.log_frequencies,
        lesson.weights,
    )
    school = _School(lesson, course, held_out, combination)
    cross_fitted = few or course.settings.validation_fraction == 0
    class_, combination = school.cross_fit(rng) if cross_fitted else school.hold_out(rng)
    shift = lesson.log_priors - lesson.log_frequencies
    return Learnt(
        tokenizer=class_.tokenizer,
        models=[NumpyLanguageModel(arrays) for arrays in class_.models],
        records=class_.records,
        background=NumpyLanguageModel(class_.background),
        tuned=[NumpyLanguageModel(arrays) for arrays in class_.tuned],
        subwords=subwords,
        ngrams=ngrams,
        combination=replace(combination, bias=combination.bias + shift),
        cut=_count_cut(class_.sequences, course.settings),
    )


@dataclass
class _Class:
    """Language models that were taught together, over one tokenizer."""

    tokenizer: Tokenizer
    sequences: list[Ids]
    training: Codes
    validation: Codes
    background: Weights = field(default_factory=dict)
    models: list[Weights] = field(default_factory=list)
    tuned: list[Weights] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    epochs: tuple[int, int, int] = (0, 0, 0)
    """The best ones of background, adaptation (mean over labels) and tuning."""


class _School:
    """Teaches the LSTM language models of one lesson."""

    def __init__(
        self,
        lesson: Lesson,
        course: Course,
        held_out: list[Array],
        combination: Combination,
    ) -> None:
        self.lesson, self.course = lesson, course
        self.held_out, self.combination = held_out, combination
        self.joint = combination.joint(held_out)
        self.compared = labels_to_compare(lesson.codes, self.joint)
        self._final = True  # whether what is taught will be the model, and so is worth keeping as it is

    @property
    def kinds(self) -> list[TokenizerKind]:
        chosen = self.course.settings.tokenizer
        return ["subword", "word"] if chosen == "auto" else [chosen]  # type: ignore[list-item]

    def hold_out(self, rng: np.random.Generator) -> tuple[_Class, Combination]:
        """Teach on one part of the texts and learn the combination on the rest."""
        fraction = self.course.settings.validation_fraction
        folds = deal(self.lesson.codes, max(2, round(1 / fraction)), rng)
        codes = self.lesson.codes
        folds[np.bincount(codes)[codes] == 1] = 1  # a label's only text is learnt from
        class_ = self._choose(self._teach(self.kinds, np.flatnonzero(folds), np.flatnonzero(folds == 0)))
        self._tune(class_)
        return class_, self._combine(self._scores(class_), class_.validation)

    def cross_fit(self, rng: np.random.Generator) -> tuple[_Class, Combination]:
        """Learn the combination on scores of all texts, and teach the models again on all of them."""
        folds = deal(self.lesson.codes, min(_LM_FOLDS, len(self.lesson.codes)), rng)
        scores = np.zeros((2, *self.joint.shape))
        kinds, taught = self.kinds, []
        self._final = False
        for fold in np.unique(folds):
            classes = self._teach(kinds, np.flatnonzero(folds != fold), np.flatnonzero(folds == fold))
            class_ = self._choose(classes)
            kinds = [class_.tokenizer.kind]
            self._tune(class_)
            scores[:, class_.validation] = self._scores(class_)
            taught.append(class_)
        everything = np.arange(len(folds))
        combination = self._combine(list(scores), everything)
        self._final = True
        epochs = np.array([class_.epochs for class_ in taught]).mean(axis=0).round().astype(int)
        (final,) = self._teach(
            kinds, everything, everything[:0], epochs=(int(epochs[0]), max(1, int(epochs[1])))
        )
        self._tune(final, epochs=int(epochs[2]))
        return final, combination

    def _teach(
        self,
        kinds: Sequence[TokenizerKind],
        training: Codes,
        validation: Codes,
        *,
        epochs: tuple[int, int] | None = None,
    ) -> list[_Class]:
        """Train a background model and adapt it to each label, by maximum likelihood, for each kind."""
        lesson, course, settings = self.lesson, self.course, self.course.settings
        if epochs is None:
            epochs = _epochs(len(training), settings.max_epochs)
        classes = []
        for kind in kinds:
            tokenizer = _tokenizer(kind, [lesson.texts[index] for index in training], settings)
            classes.append(_Class(tokenizer, tokenizer.sequences(lesson.texts), training, validation))
        whole = Part(BACKGROUND, training, validation, lesson.seed)
        first = replace(settings, max_epochs=max(1, epochs[0]))
        backgrounds = [
            new_trainer(whole, class_.sequences, lesson.weights, class_.tokenizer, course, settings=first)
            for class_ in classes
        ]
        train([(BACKGROUND, trainer) for trainer in backgrounds], course)
        second = replace(
            settings,
            learning_rate=settings.learning_rate * _ADAPTATION_SHARE,
            patience=_ADAPTATION_PATIENCE,
            max_epochs=max(1, epochs[1]),
        )
        parts = [self._part(code, training, validation) for code in range(len(lesson.classes))]
        adapted: list[list[Trainer | None]] = []  # none for a label without texts in the training part
        for class_, background in zip(classes, backgrounds, strict=True):
            class_.background = background.model.arrays()
            adapted.append(
                [
                    new_trainer(
                        part,
                        class_.sequences,
                        lesson.weights,
                        class_.tokenizer,
                        course,
                        settings=second,
                        start=class_.background,
                    )
                    if len(part.training) and epochs[1]
                    else None
                    for part in parts
                ]
            )
        jobs = [
            (part.label, trainer)
            for trainers in adapted
            for part, trainer in zip(parts, trainers, strict=True)
            if trainer is not None
        ]
        try:
            train(jobs, course)
        except KeyboardInterrupt:
            if not self._final:
                raise
            _keep(jobs)
        for class_, background, trainers in zip(classes, backgrounds, adapted, strict=True):
            class_.models = [
                class_.background if trainer is None else trainer.model.arrays() for trainer in trainers
            ]
            class_.tuned = class_.models
            class_.records = _records([whole, *parts], [background, *trainers])
            best = [trainer.best_epoch for trainer in trainers if trainer is not None]
            class_.epochs = background.best_epoch, round(float(np.mean(best or [0]))), 0
        return classes

    def _part(self, code: int, training: Codes, validation: Codes) -> Part:
        codes = self.lesson.codes
        return Part(
            self.lesson.classes[code],
            training[codes[training] == code],
            validation[codes[validation] == code],
            self.lesson.seed % 2**30 + code + 1,
        )

    def _choose(self, classes: list[_Class]) -> _Class:
        """Return the class whose models help the n-gram models most on held-out text."""
        if len(classes) == 1:
            return classes[0]
        losses = []
        for class_ in classes:
            chosen = class_.validation
            scores = [self._score(class_, class_.models)]
            joint = self._combine(scores, chosen).joint([*(part[chosen] for part in self.held_out), *scores])
            losses.append(log_loss(joint, self.lesson.codes[chosen], self._weights(chosen)))
        return classes[int(np.argmin(losses))]

    def _tune(self, class_: _Class, epochs: int | None = None) -> None:
        """Tune a class by conditional likelihood."""
        lesson = self.lesson
        tuner = ConditionalTuner(
            class_.models,
            class_.tokenizer,
            class_.sequences,
            class_.training,
            class_.validation,
            self.compared,
            lesson.log_frequencies,
            self.course,
            weights=lesson.weights,
            epochs=EPOCHS if epochs is None else epochs,
            seed=lesson.seed % 2**30,
        )
        try:
            tuner.run()
        except KeyboardInterrupt:
            if not self._final:
                raise
            self.course.stop.set()
            _warn_interrupted([f"tuning: epoch {tuner.best_epoch}"])
        if tuner.best_epoch:
            class_.tuned = tuner.best
        class_.epochs = (*class_.epochs[:2], tuner.best_epoch)
        class_.records.append(
            {
                "kind": "tuning",
                "epochs": len(tuner.records),
                "best_epoch": tuner.best_epoch,
                "validation_losses": [record.validation_loss for record in tuner.records],
            }
        )

    def _scores(self, class_: _Class) -> list[Array]:
        """Return the scores of the validation texts by each expert that a class makes."""
        scores = [self._score(class_, class_.models)]
        if class_.tuned is class_.models:  # one expert twice says nothing more
            return [*scores, np.zeros_like(scores[0])]
        return [*scores, self._score(class_, class_.tuned)]

    def _score(self, class_: _Class, models: list[Weights]) -> Array:
        """Return log-likelihoods of the validation texts, (…, K)."""
        return log_likelihoods(
            [NumpyLanguageModel(arrays) for arrays in models],
            [class_.sequences[index] for index in class_.validation],
            threads=self.course.threads,
        )

    def _combine(self, scores: Sequence[Array], chosen: Codes) -> Combination:
        return add_experts(
            self.combination,
            self.joint[chosen],
            (LSTM, TUNED_LSTM)[: len(scores)],
            scores,
            self.lesson.codes[chosen],
            self._weights(chosen),
        )

    def _weights(self, chosen: Codes) -> Array | None:
        return None if self.lesson.weights is None else self.lesson.weights[chosen]


def _epochs(texts: int, most: int) -> tuple[int, int]:
    """Return how long to train the background model and to adapt it, at most.

    Many texts make many steps in a pass, and need fewer; few have little to teach a network.
    """
    if texts < _FEW:
        return min(most, 6), min(most, 3)
    return min(most, max(5, min(10, 60_000 // texts))), min(most, max(3, min(5, 25_000 // texts)))


def _tokenizer(kind: TokenizerKind, texts: Sequence[str], settings: Settings) -> Tokenizer:
    size = _VOCABULARY[kind] if settings.vocab_size is None else settings.vocab_size
    lowercase = kind == "word" if settings.lowercase is None else settings.lowercase
    return Tokenizer.train(kind, texts, size, lowercase=lowercase)


def _split(label: Any, indices: Codes, fraction: float, seed: list[int]) -> Part:
    """Cut the validation part of one label, at least one text of two or more."""
    rng = np.random.default_rng(seed)
    size = round(fraction * len(indices))
    if fraction and len(indices) > 1:
        size = max(1, size)
    shuffled = rng.permutation(indices)
    return Part(label, np.sort(shuffled[size:]), np.sort(shuffled[:size]), int(rng.integers(2**31)))


def _keep(jobs: Sequence[tuple[Any, Trainer]]) -> None:
    for _, trainer in jobs:
        trainer.interrupt()
    _warn_interrupted([f"{label}: epoch {trainer.best_epoch}" for label, trainer in jobs])


def _warn_interrupted(what: list[str]) -> None:
    message = f"interrupted: the best weights so far are kept ({listing(what)})"
    warnings.warn(message, LMClassifyWarning, stacklevel=2)


def _count_cut(sequences: list[Ids], settings: Settings) -> int:
    return sum(len(sequence) > settings.max_length for sequence in sequences)


def _records(parts: Sequence[Part], trainers: Sequence[Trainer | None]) -> list[dict[str, Any]]:
    """Return entries of the training record: one a model, and one an epoch."""
    records: list[dict[str, Any]] = []
    for part, trainer in zip(parts, trainers, strict=True):
        background = isinstance(part.label, str) and part.label is BACKGROUND
        which = {} if background else {"label": np.asarray(part.label).item()}
        records.append(
            {
                "kind": "background" if background else "label",
                **which,
                "training_texts": len(part.training),
                "validation_texts": len(part.validation),
                "epochs": 0 if trainer is None else len(trainer.records),
                "best_epoch": 0 if trainer is None else trainer.best_epoch,
                "validation_loss": None if trainer is None else trainer.best_validation_loss,
                "interrupted": False if trainer is None else trainer.interrupted,
            }
        )
        for epoch in [] if trainer is None else trainer.records:
            records.append({"kind": "background epoch" if background else "epoch", **which, **asdict(epoch)})
    return records
