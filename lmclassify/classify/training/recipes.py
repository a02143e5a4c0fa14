"""The recipes: from labelled texts to what a fitted model holds.

*plain*: an LSTM language model per label, each by itself, maximum likelihood; Bayes' rule.

*tuned*:

1. n-gram models over characters, subwords and words, by likelihood and tuned, with cross-fitted scores;
2. a background language model of all labels' texts (and of unlabelled ones), adapted to each label
   (maximum likelihood), over words, or subwords where words leave most of the held-out text unknown;
3. all labels' language models tuned together by conditional likelihood;
4. one log-linear combination of all of them, learnt on held-out scores;
5. an n-gram language model of each label's tokens, beside the LSTMs where the next word is asked for.

Of very many texts, the n-gram models' likelihoods are learnt from all, everything else from a sample.

Shapes: n texts, K labels; s texts of the sample.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import LSTMS, Combination, log_softmax
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.novelty import cross_entropies, ood_features, plain_ood_features
from lmclassify.classify.scoring import cut_texts, log_likelihoods
from lmclassify.classify.settings import Settings
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts, subsample
from lmclassify.classify.training.discriminative import ConditionalTuner, Weights, labels_to_compare
from lmclassify.classify.training.ensemble import add_experts, fit_cascade, learn_combination
from lmclassify.classify.training.folds import MOST_TEXTS, stratified_folds, stratified_sample
from lmclassify.classify.training.language_models import DataSplit, FitContext, new_model, new_trainer, train
from lmclassify.classify.training.ngram_counts import TextShard, text_shards
from lmclassify.classify.training.ngrams import learn_ngram_models
from lmclassify.cluster.tasks import RayTasks
from lmclassify.errors import LMClassifyWarning, listing
from lmclassify.lm.inference.directions import AnyLanguageModel, directed
from lmclassify.lm.inference.forward import NumpyLanguageModel, round_to_16_bits
from lmclassify.lm.neural.model import BaseLanguageModel
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.text.sequences import Ids, reverse
from lmclassify.text.tokenizer import Tokenizer, TokenizerKind

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

BACKGROUND = "all labels"
"""What the progress callback is told instead of a label while the background model trains."""

_VOCABULARY = {"subword": 1000, "word": 4000, "char": 1000}
_FOLDS, _FOLDS_OF_FEW = 5, 10
_FEW = 2000  # texts below which language models are cross-fitted, so that none is lost to validation
_MANY = 50  # labels, from which on more folds would take too long, and an embedding each too much space
_LM_FOLDS = 2
_MOST_SCORES = 100_000  # of held-out texts by recipe "plain": many labels would take long
_READ_BACKWARD = {"forward": (False,), "backward": (True,), "both": (False, True)}
_MOST_UNKNOWN = 0.5  # of the words of held-out text; with more, subwords say more
_ADAPTATION_SHARE = 0.1  # of the learning rate: little moves, or few texts soon undo what all have taught
_ADAPTATION_PATIENCE = 2


@dataclass
class TrainingData:
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
    unlabelled: list[str] = field(default_factory=list)
    """Texts that the background model and its vocabulary are learnt from too."""
    others: Sequence[TextShard] = ()
    """More labelled texts, of which recipe "tuned" counts the n-grams where they lie."""
    number_of_others: int = 0

    @classmethod
    def of(cls, texts: Sequence[str], labels: Sequence[str], seed: int) -> TrainingData:
        """Return a lesson in which every text has weight 1 and priors are the labels' shares."""
        classes, codes = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
        log_frequencies = np.log(np.bincount(codes) / len(codes))
        return cls(list(texts), classes, codes, None, log_frequencies, log_frequencies, seed)

    def some(self, chosen: Codes) -> TrainingData:
        """Return a lesson of some of the texts, and of some unlabelled ones where those are too many."""
        unlabelled = subsample(len(self.unlabelled), MOST_TEXTS, self.seed)
        return replace(
            self,
            texts=[self.texts[index] for index in chosen],
            codes=self.codes[chosen],
            weights=None if self.weights is None else self.weights[chosen],
            unlabelled=[self.unlabelled[index] for index in unlabelled],
        )


@dataclass(frozen=True)
class CrossFittedScores:
    """What a combination was learnt from: scores of texts by models that had not seen them."""

    codes: Codes
    """(s,) the index of each text's label."""
    ngrams: list[Array]
    """(s, K) each."""
    lstms: list[Array]
    """(m, K) each, of the experts `LSTMS`."""
    scored: Codes
    """(m,) which of the s texts the latter are of."""


@dataclass(frozen=True)
class TunedFields:
    """The fields of `lmclassify.classify.tuned_predictor.TunedPredictor` that only recipe "tuned" has."""

    background: AnyLanguageModel
    tuned: list[AnyLanguageModel]
    token_ngrams: list[TokenNgrams]
    subwords: Tokenizer
    ngrams: list[NgramModel]
    combination: Combination
    held_out_texts: HeldOutTexts | None


@dataclass
class FitResult:
    """What a recipe makes, in the fields of `lmclassify.classify.predictor.Predictor`."""

    tokenizer: Tokenizer
    models: list[AnyLanguageModel]
    records: list[dict[str, Any]]
    held_out: HeldOut
    read: int
    """Texts that the language models have learnt from or were held out from them."""
    cut: int = 0
    """Texts of which training read the beginning only."""
    tuned: TunedFields | None = None
    """What recipe "tuned" makes beside, of two labels or more."""
    evidence: CrossFittedScores | None = None


@dataclass(frozen=True)
class PlainFit:
    """Trainers that have trained each label's language model by itself, over one tokenizer."""

    tokenizer: Tokenizer
    parts: list[DataSplit]
    trainers: list[list[Trainer]]
    """Of each direction (forward before backward), of each label."""
    cut: int


def fit_independent(
    lesson: TrainingData,
    course: FitContext,
    make: Callable[[Tokenizer, Settings, int], BaseLanguageModel] = new_model,
) -> PlainFit:
    """Train each label's language model by itself; `make` may make other ones, to compare.

    Raises
    ------
    KeyboardInterrupt
        As `learn_plain`.
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
    trainers: list[list[Trainer]] = []
    for backward in _READ_BACKWARD[settings.direction]:
        read = _backward(sequences, tokenizer, settings) if backward else sequences
        trainers.append(
            [new_trainer(part, read, lesson.weights, tokenizer, course, make=make) for part in parts]
        )
    for of_labels in trainers:
        jobs = list(zip(lesson.classes, of_labels, strict=True))
        try:
            train(jobs, course)
        except KeyboardInterrupt:
            if not all(trainer.records for of_one in trainers for trainer in of_one):
                raise
            _keep(jobs)
    return PlainFit(tokenizer, parts, trainers, _count_cut(sequences, settings))


def learn_plain(lesson: TrainingData, course: FitContext) -> FitResult:
    """Learn the recipe "plain".

    Raises
    ------
    KeyboardInterrupt
        If interrupted before every label has a model; later, the best so far is kept, with a warning.
    """
    taught = fit_independent(lesson, course)
    models = _models(
        [[round_to_16_bits(trainer.model.arrays()) for trainer in of_one] for of_one in taught.trainers],
        taught.tokenizer,
        course.settings,
    )
    validation = np.sort(np.concatenate([part.validation for part in taught.parts]))
    most = max(1, _MOST_SCORES // len(taught.parts))
    validation = validation[subsample(len(validation), most, lesson.seed)]
    texts = [lesson.texts[index] for index in validation]
    limit = course.settings.limit
    if limit is not None:
        texts, _ = cut_texts(texts, taught.tokenizer, limit)
    sequences = taught.tokenizer.sequences(texts)
    likelihoods = log_likelihoods(models, sequences, max_length=limit, threads=course.threads)
    return FitResult(
        tokenizer=taught.tokenizer,
        models=models,
        records=_by_direction([training_records(taught.parts, of_one) for of_one in taught.trainers]),
        cut=taught.cut,
        read=len(lesson.texts),
        held_out=held_out_of_plain(
            lesson.log_priors, likelihoods, lesson.codes[validation], texts, lesson.seed
        ),
    )


def held_out_of_plain(
    log_priors: Array, likelihoods: Array, codes: Codes, texts: Sequence[str], seed: int
) -> HeldOut:
    """Return held-out scores of recipe "plain" from the likelihoods of texts, as they were scored, (m, K)."""
    joint = log_priors + likelihoods
    log_posteriors = log_softmax(joint)
    features = plain_ood_features(log_posteriors, likelihoods, texts)
    nats = cross_entropies(log_posteriors, likelihoods, texts)
    return HeldOut.from_scores(joint, codes, features, nats).sample(seed)


def learn_tuned(
    lesson: TrainingData, course: FitContext, school_type: type[TunedTrainer] | None = None
) -> FitResult:
    """Learn the recipe "tuned"; `school_type` may teach the language models otherwise, to compare.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before every label has a language model; later, the best so far is kept, with a
        warning.
    """
    labels = len(lesson.classes)
    if labels == 1:  # nothing to tell apart
        if lesson.unlabelled:
            message = "with one label there is no background model: unlabelled texts are not used"
            warnings.warn(message, LMClassifyWarning, stacklevel=3)
        if lesson.others:
            message = f"with one label all is learnt from {len(lesson.texts):,} texts drawn at random"
            warnings.warn(message, LMClassifyWarning, stacklevel=3)
        return learn_plain(lesson, course)
    rng = np.random.default_rng([lesson.seed, labels])
    experts = learn_ngrams(lesson, course.threads, rng, course.cluster)
    everything, lesson = lesson, lesson.some(experts.sample)
    number = len(everything.texts) + lesson.number_of_others
    for kind, before, after, learnt in (
        ("texts", number, lesson.texts, "n-grams are counted in all, everything else is learnt"),
        ("unlabelled texts", len(everything.unlabelled), lesson.unlabelled, "the background model is learnt"),
    ):
        if len(after) < before:
            message = f"{before:,} {kind}: {learnt} from {len(after):,} drawn at random"
            warnings.warn(message, LMClassifyWarning, stacklevel=3)
    combination = experts.combination
    joint = combination.joint(experts.held_out)
    few = len(lesson.texts) < _FEW
    cross_fitted = few or course.settings.validation_fraction == 0
    classes: list[TrainedModels] = []
    of_directions: list[list[Array]] = []
    of_backgrounds: list[Array] = []
    reads = _READ_BACKWARD[course.settings.direction]
    for backward in reads:
        school = (school_type or TunedTrainer)(lesson, course, joint, backward, last=backward is reads[-1])
        teach = school.cross_fit if cross_fitted else school.hold_out
        class_, scores, scored = teach(copy.deepcopy(rng))  # the same folds in both directions
        classes.append(class_)
        of_directions.append(scores)
        of_backgrounds.append(school.background_scores)
    scores = [np.mean(of_expert, axis=0) for of_expert in zip(*of_directions, strict=True)]
    if all(class_.tuned is class_.models for class_ in classes):  # one expert twice says nothing more
        scores[1] = np.zeros_like(scores[1])
    combination = add_experts(
        combination,
        joint[scored],
        LSTMS,
        scores,
        lesson.codes[scored],
        None if lesson.weights is None else lesson.weights[scored],
    )
    shift = lesson.log_priors - lesson.log_frequencies
    combination = replace(combination, bias=combination.bias + shift)
    every_score = [*(of_ngrams[scored] for of_ngrams in experts.held_out), *scores]
    texts = [lesson.texts[index] for index in scored]
    lengths = [len(sequence) for sequence in experts.subwords.sequences(texts)]
    combination = fit_cascade(combination, every_score, lengths)
    joint = combination.cascade_joint(every_score, lengths)
    kept = None
    if course.settings.keep_held_out:
        of_background = np.mean(of_backgrounds, axis=0)[scored]
        kept = HeldOutTexts.sample(texts, lesson.codes[scored], every_score, of_background, lesson.seed)
    log_posteriors = log_softmax(joint)
    features = ood_features(log_posteriors, every_score, *experts.background[:, scored])
    nats = cross_entropies(log_posteriors, every_score[1], texts)

    def models_of(weights: Sequence[list[Weights]]) -> list[AnyLanguageModel]:
        return _models(weights, class_.tokenizer, course.settings)

    models = models_of([class_.models for class_ in classes])
    sequences = class_.tokenizer.sequences(lesson.texts)
    return FitResult(
        tokenizer=class_.tokenizer,
        models=models,
        records=_by_direction([class_.records for class_ in classes]),
        tuned=TunedFields(
            background=models_of([[class_.background] for class_ in classes])[0],
            tuned=models if not combination.weights[-1] else models_of([class_.tuned for class_ in classes]),
            token_ngrams=[
                TokenNgrams.fit(
                    [sequences[index] for index in np.flatnonzero(lesson.codes == code)],
                    class_.tokenizer.vocab_size,
                )
                for code in range(labels)
            ],
            subwords=experts.subwords,
            ngrams=experts.models,
            combination=combination,
            held_out_texts=kept,
        ),
        cut=class_.cut,
        read=len(lesson.texts),
        evidence=CrossFittedScores(lesson.codes, experts.held_out, scores, scored),
        held_out=HeldOut.from_scores(joint, lesson.codes[scored], features, nats).sample(lesson.seed),
    )


@dataclass(frozen=True)
class NgramExperts:
    """N-gram models of all labels and how they decide without language models beside them."""

    subwords: Tokenizer
    models: list[NgramModel]
    sample: Codes
    """(s,) the texts that more than likelihoods were learnt from."""
    held_out: list[Array]
    """(s, K) each: those texts' scores by models that had not seen them."""
    background: Array
    """(2, s) their log-likelihoods by single characters, and how many these are."""
    combination: Combination


def learn_ngrams(
    lesson: TrainingData, threads: int, rng: np.random.Generator, cluster: RayTasks | None = None
) -> NgramExperts:
    """Learn the n-gram models and their combination, on cross-fitted scores."""
    chosen = stratified_sample(lesson.codes, MOST_TEXTS, rng)
    some = lesson.some(chosen)
    subwords = Tokenizer.train("subword", some.texts, _VOCABULARY["subword"])
    labels = len(lesson.classes)
    few = len(some.texts) < _FEW and labels < _MANY
    rest = lesson.some(np.setdiff1d(np.arange(len(lesson.texts)), chosen, assume_unique=True))
    models, held_out, background = learn_ngram_models(
        some.texts,
        subwords,
        some.codes,
        labels,
        stratified_folds(some.codes, _FOLDS_OF_FEW if few else _FOLDS, rng),
        weights=some.weights,
        others=[*text_shards(rest.texts, rest.codes, rest.weights), *lesson.others],
        seed=lesson.seed,
        threads=threads,
        cluster=cluster,
    )
    names = [name for model in models for name in model.score_names]
    combination = learn_combination(names, held_out, some.codes, some.log_frequencies, some.weights)
    return NgramExperts(subwords, models, chosen, held_out, background, combination)


@dataclass
class TrainedModels:
    """Language models of all labels that were taught together, over one tokenizer."""

    tokenizer: Tokenizer
    sequences: list[Ids]
    training: Codes
    validation: Codes
    unlabelled: list[Ids] = field(default_factory=list)
    background: Weights = field(default_factory=dict)
    models: list[Weights] = field(default_factory=list)
    tuned: list[Weights] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    epochs: tuple[int, int, int] = (0, 0, 0)
    """The best ones of background, adaptation (mean over labels) and tuning."""
    cut: int = 0
    """Texts of which training read a part only."""


class TunedTrainer:
    """Teaches the LSTM language models of one lesson."""

    def __init__(
        self,
        lesson: TrainingData,
        course: FitContext,
        joint: Array,
        backward: bool = False,
        last: bool = True,
    ) -> None:
        self.lesson, self.course, self.backward = lesson, course, backward
        self._last = last  # of the directions: without the others' models none is worth keeping
        self.compared = labels_to_compare(lesson.codes, joint)
        self.background_scores = np.zeros(len(lesson.texts))
        """(n,) log-likelihoods of texts under background models that had not seen them, once scored."""
        self._final = last  # whether what is taught will be the model, and so is worth keeping as it is

    def hold_out(self, rng: np.random.Generator) -> tuple[TrainedModels, list[Array], Codes]:
        """Teach on one part of the texts and score the rest; see `cross_fit`."""
        fraction = self.course.settings.validation_fraction
        folds = stratified_folds(self.lesson.codes, max(2, round(1 / fraction)), rng)
        codes = self.lesson.codes
        folds[np.bincount(codes)[codes] == 1] = 1  # a label's only text is learnt from
        class_ = self._teach(np.flatnonzero(folds), np.flatnonzero(folds == 0))
        self._tune(class_)
        return class_, self._scores(class_), class_.validation

    def cross_fit(self, rng: np.random.Generator) -> tuple[TrainedModels, list[Array], Codes]:
        """Teach on each part of the texts, scoring the others, and at last on all of them.

        Returns
        -------
        class_ : TrainedModels
            What is to be kept.
        scores : list of ndarray, (m, K)
            Log-likelihoods of texts that the models had not seen, by maximum likelihood and tuned.
        scored : ndarray of int, (m,)
            Which texts.
        """
        folds = stratified_folds(self.lesson.codes, min(_LM_FOLDS, len(self.lesson.codes)), rng)
        scores = np.zeros((2, len(folds), len(self.lesson.classes)))
        taught: list[TrainedModels] = []
        self._final = False
        for fold in np.unique(folds):
            kind = taught[0].tokenizer.kind if taught else None
            class_ = self._teach(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold), kind=kind)
            self._tune(class_)
            scores[:, class_.validation] = self._scores(class_)
            taught.append(class_)
        everything = np.arange(len(folds))
        self._final = self._last
        epochs = np.ceil(np.array([class_.epochs for class_ in taught]).mean(axis=0)).astype(int)
        final = self._teach(
            everything,
            everything[:0],
            kind=taught[0].tokenizer.kind,
            epochs=(int(epochs[0]), max(1, int(epochs[1]))),
        )
        self._tune(final, epochs=int(epochs[2]))
        return final, list(scores), everything

    def _teach(
        self,
        training: Codes,
        validation: Codes,
        *,
        kind: TokenizerKind | None = None,
        epochs: tuple[int, int] | None = None,
    ) -> TrainedModels:
        """Train a background model and adapt it to each label, by maximum likelihood."""
        lesson = self.lesson
        tokenizer = self._tokenizer(training, validation, kind)
        sequences, unlabelled = tokenizer.sequences(lesson.texts), tokenizer.sequences(lesson.unlabelled)
        cut = _count_cut(sequences, self.course.settings)
        if self.backward:
            sequences, unlabelled = (
                _backward(some, tokenizer, self.course.settings) for some in (sequences, unlabelled)
            )
        class_ = TrainedModels(tokenizer, sequences, training, validation, unlabelled, cut=cut)
        if epochs is None:
            labelled = training_tokens([class_.sequences[index] for index in training], self.course.settings)
            without_label = training_tokens(class_.unlabelled, self.course.settings)
            texts, most = len(training) + len(class_.unlabelled), self.course.settings.max_epochs
            epochs = (
                min(most, _background_epochs(texts, labelled + without_label)),
                min(most, adaptation_epochs(len(training), labelled)),
            )
        background = self._background(class_, epochs[0])
        class_.background = round_to_16_bits(background.model.arrays())
        parts = [self._part(code, training, validation) for code in range(len(lesson.classes))]
        trainers = [  # none for a label without texts in the training part
            self.adapt(part, class_, epochs[1]) if len(part.training) and epochs[1] else None
            for part in parts
        ]
        jobs = [
            (part.label, trainer)
            for part, trainer in zip(parts, trainers, strict=True)
            if trainer is not None
        ]
        try:
            train(jobs, self.course)
        except KeyboardInterrupt:
            if not self._final:
                raise
            _keep(jobs)
        class_.models = [
            class_.background if trainer is None else _kept(trainer.model.arrays(), class_.background)
            for trainer in trainers
        ]
        class_.tuned = class_.models
        whole = self._whole(class_)
        class_.records = training_records([whole, *parts], [background, *trainers])
        best = [trainer.best_epoch for trainer in trainers if trainer is not None]
        class_.epochs = background.best_epoch, round(float(np.mean(best or [0]))), 0
        return class_

    def adapt(self, part: DataSplit, class_: TrainedModels, epochs: int) -> Trainer:
        """Return what trains a label's language model, from the background model on."""
        return new_trainer(
            part,
            class_.sequences,
            self.lesson.weights,
            class_.tokenizer,
            self.course,
            settings=adaptation_settings(self.course.settings, epochs),
            start=class_.background,
            one_embedding=shares_embedding(len(self.lesson.classes)),
        )

    def _whole(self, class_: TrainedModels) -> DataSplit:
        """Return the background model's part; unlabelled texts stand behind the labelled ones."""
        unlabelled = len(self.lesson.texts) + np.arange(len(self.lesson.unlabelled))
        training = np.concatenate([class_.training, unlabelled])
        return DataSplit(BACKGROUND, training, class_.validation, self.lesson.seed)

    def _background(self, class_: TrainedModels, epochs: int) -> Trainer:
        """Train a language model of all labels' texts and of those without label."""
        lesson, weights = self.lesson, self.lesson.weights
        if weights is not None:
            weights = np.concatenate([weights, np.full(len(lesson.unlabelled), weights.mean())])
        trainer = new_trainer(
            self._whole(class_),
            [*class_.sequences, *class_.unlabelled],
            weights,
            class_.tokenizer,
            self.course,
            settings=replace(self.course.settings, max_epochs=max(1, epochs)),
        )
        train([(BACKGROUND, trainer)], self.course)
        return trainer

    def _tokenizer(self, training: Codes, validation: Codes, kind: TokenizerKind | None) -> Tokenizer:
        """Learn a tokenizer of a kind; of words, unless they leave most of the held-out text unknown."""
        settings, texts = self.course.settings, self.lesson.texts
        known = [*(texts[index] for index in training), *self.lesson.unlabelled]
        if kind is None and settings.tokenizer != "auto":
            kind = settings.tokenizer  # type: ignore[assignment]
        if kind is not None:
            return _tokenizer(kind, known, settings)
        words = _tokenizer("word", known, settings)
        tokens = np.concatenate([np.zeros(0, np.int64), *words.sequences([texts[i] for i in validation])])
        unknown = (tokens == words.unknown_id).sum() / max(1, len(tokens) - 2 * len(validation))
        return words if unknown < _MOST_UNKNOWN else _tokenizer("subword", known, settings)

    def _part(self, code: int, training: Codes, validation: Codes) -> DataSplit:
        codes = self.lesson.codes
        return DataSplit(
            self.lesson.classes[code],
            training[codes[training] == code],
            validation[codes[validation] == code],
            self.lesson.seed % 2**30 + code + 1,
        )

    def _tune(self, class_: TrainedModels, epochs: int | None = None) -> None:
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
            epochs=epochs,
            seed=lesson.seed % 2**30,
            one_embedding=shares_embedding(len(lesson.classes)),
        )
        try:
            tuner.run()
        except KeyboardInterrupt:
            if not self._final:
                raise
            self.course.stop.set()
            _warn_interrupted([f"tuning: epoch {tuner.best_epoch}"])
        if tuner.best_epoch:
            class_.tuned = [_kept(arrays, class_.background) for arrays in tuner.best]
        class_.epochs = (*class_.epochs[:2], tuner.best_epoch)
        class_.records.append(
            {
                "kind": "tuning",
                "epochs": len(tuner.records),
                "best_epoch": tuner.best_epoch,
                "validation_losses": [record.validation_loss for record in tuner.records],
            }
        )

    def _scores(self, class_: TrainedModels) -> list[Array]:
        """Return the scores of the validation texts by each expert that a class makes."""
        if self.course.settings.keep_held_out:
            self.background_scores[class_.validation] = self._score(class_, [class_.background])[:, 0]
        scores = self._score(class_, class_.models)
        return [scores, scores if class_.tuned is class_.models else self._score(class_, class_.tuned)]

    def _score(self, class_: TrainedModels, models: list[Weights]) -> Array:
        """Return log-likelihoods of the validation texts, (…, K)."""
        return log_likelihoods(
            [NumpyLanguageModel(arrays) for arrays in models],
            [class_.sequences[index] for index in class_.validation],
            threads=self.course.threads,
        )


def _kept(weights: Weights, background: Weights) -> Weights:
    """Return weights as they are kept: rounded, and the background model's own where they are the same."""
    return {
        name: background[name] if np.array_equal(array, background[name]) else array
        for name, array in round_to_16_bits(weights).items()
    }


def shares_embedding(labels: int) -> bool:
    """Return whether so many labels share one embedding: each by itself would take too much space."""
    return labels >= _MANY


def adaptation_settings(settings: Settings, epochs: int) -> Settings:
    """Return the settings by which a label's language model is adapted from the background model."""
    return replace(
        settings,
        learning_rate=settings.learning_rate * _ADAPTATION_SHARE,
        patience=_ADAPTATION_PATIENCE,
        max_epochs=epochs,
    )


def training_tokens(sequences: Sequence[Ids], settings: Settings) -> int:
    """Return how many tokens training reads of some texts, at least 1."""
    return max(1, sum(min(len(sequence), settings.max_length) for sequence in sequences))


def _background_epochs(texts: int, tokens: int) -> int:
    """Return how many passes to train the background model at most.

    Many texts make many steps in a pass, and need fewer; few have little to teach a network.
    """
    return min(6 if texts < _FEW else max(5, min(10, 60_000 // texts)), max(4, 1_000_000 // tokens))


def adaptation_epochs(texts: int, tokens: int) -> int:
    """Return how many passes to adapt it to the labels at most."""
    return min(3 if texts < _FEW else max(3, min(5, 25_000 // texts)), max(3, 600_000 // tokens))


def _tokenizer(kind: TokenizerKind, texts: Sequence[str], settings: Settings) -> Tokenizer:
    size = _VOCABULARY[kind] if settings.vocab_size is None else settings.vocab_size
    lowercase = kind == "word" if settings.lowercase is None else settings.lowercase
    return Tokenizer.train(kind, texts, size, lowercase=lowercase)


def _split(label: Any, indices: Codes, fraction: float, seed: list[int]) -> DataSplit:
    """Cut the validation part of one label, at least one text of two or more."""
    rng = np.random.default_rng(seed)
    size = round(fraction * len(indices))
    if fraction and len(indices) > 1:
        size = max(1, size)
    shuffled = rng.permutation(indices)
    return DataSplit(label, np.sort(shuffled[size:]), np.sort(shuffled[:size]), int(rng.integers(2**31)))


def _backward(sequences: Sequence[Ids], tokenizer: Tokenizer, settings: Settings) -> list[Ids]:
    """Return sequences reversed, cut before where only the beginning of long texts counts."""
    return [reverse(sequence[: settings.limit], tokenizer.end_id) for sequence in sequences]


def _models(
    weights: Sequence[Sequence[Weights]], tokenizer: Tokenizer, settings: Settings
) -> list[AnyLanguageModel]:
    """Return each label's model from the weights of each direction's, forward ones first."""
    found = [[NumpyLanguageModel(arrays) for arrays in of_one] for of_one in weights]
    forward = None if settings.direction == "backward" else found[0]
    return directed(forward, None if settings.direction == "forward" else found[-1], tokenizer.end_id)


def _by_direction(records: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the training record: of two directions the second's kinds are named so."""
    second = [{**entry, "kind": f"backward {entry['kind']}"} for of in records[1:] for entry in of]
    return [*records[0], *second]


def _keep(jobs: Sequence[tuple[Any, Trainer]]) -> None:
    for _, trainer in jobs:
        trainer.interrupt()
    _warn_interrupted([f"{label}: epoch {trainer.best_epoch}" for label, trainer in jobs])


def _warn_interrupted(what: list[str]) -> None:
    message = f"interrupted: the best weights so far are kept ({listing(what)})"
    warnings.warn(message, LMClassifyWarning, stacklevel=2)


def _count_cut(sequences: list[Ids], settings: Settings) -> int:
    return sum(len(sequence) > settings.max_length for sequence in sequences)


def training_records(parts: Sequence[DataSplit], trainers: Sequence[Trainer | None]) -> list[dict[str, Any]]:
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
