"""The scikit-learn estimator: parameters and their documentation; fitting and scoring are done elsewhere."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lmclassify.classify.data_frames import ColumnName, Texts, column_list, read_training_data
from lmclassify.classify.estimator_queries import ModelQueries
from lmclassify.classify.incremental.remove_label import remove_label
from lmclassify.classify.incremental.update import update
from lmclassify.classify.model import FittedModel
from lmclassify.classify.online.empty_model import empty_model
from lmclassify.classify.online.teach import Learned
from lmclassify.classify.settings import Settings
from lmclassify.classify.storage import estimator_parameters
from lmclassify.classify.training.context import FitContext, ProgressCallback
from lmclassify.classify.training.device import check_device, torch_device
from lmclassify.classify.training.fit import ClassifierTrainer, draw_seed
from lmclassify.classify.training.progress import LineDisplay
from lmclassify.classify.training.time_limit import TimeLimit, parse_time
from lmclassify.datasets.reading import Reading
from lmclassify.errors import DataError, LMClassifyWarning, ModelError, OptionError, counted
from lmclassify.parallel import number_of_threads
from lmclassify.persistence.layout import CONFIG
from lmclassify.persistence.reading import summarize_error

Array = npt.NDArray[np.float64]

_DEFAULT = Settings()


class LMClassifier(ModelQueries, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify texts by one LSTM language model per label.

    Recipe ``plain`` is Bayes' rule: a text gets the label with the largest sum of log prior and
    log-likelihood, which is the log-probability of the text's tokens and of its end under the label's
    language model. Recipe ``tuned`` combines these scores with those of n-gram models, and ``ngram`` does
    without LSTMs. Recipe ``online`` has no language models: it learns one text after the other.

    Parameters
    ----------
    recipe : {"tuned", "ngram", "plain", "online"}, default="tuned"
        ``tuned``: n-gram models, and language models that start from a background model; all are trained
        to tell the labels apart, combined and calibrated on held-out text (see
        `lmclassify.classify.training.tuned`). ``ngram``: the n-gram models only, in a fraction of the time;
        `suggest`, `generate` and `log_likelihood` use n-gram language models of the labels' tokens.
        ``plain``: independent language models trained by maximum likelihood.
    vectors : str, default="auto"
        Of words; see `lmclassify.text.word_vectors.load_word_vectors`. ``auto``: wordllama, if installed.
    tokenizer : {"auto", "subword", "word", "char"}, default="auto"
        Tokenizer of the language models; see `lmclassify.text.tokenizer`. ``auto``: words, or subwords if
        words leave most of the held-out text unknown; subwords with recipe ``plain``.
    direction : {"forward", "backward", "both"}, default="forward"
        Direction in which the language models read a text. With ``both``, each label has two models, whose
        log-likelihoods are averaged; see `lmclassify.lm.inference.directions`. `suggest` needs a forward
        model.
    vocab_size : int or None, default=None
        Largest number of words, subwords or characters in the vocabulary. None: 4,000 words, else 1,000.
    lowercase : bool or None, default=None
        Fold letter case. None: with the word tokenizer only.
    max_length : int
        Longest sequence that training reads, in tokens. Recipe ``plain`` cuts longer texts, with a warning;
        ``tuned`` reads pieces of at most 128 tokens. Backward models read the ends of cut texts.
    long_texts : {"chunk", "truncate"}, default="chunk"
        How texts longer than `max_length` are scored: whole, in chunks with carried state, or by their
        beginning only, with a warning.
    embedding_dim : int or None
        Size of the token embeddings. None: the fourth root of the vocabulary size.
    cell : {"lstm", "gru", "peephole", "coupled"}, default="lstm"
        Recurrent cell of the language models; `lmclassify.lm.neural.cells` has the formulas.
    num_lstm_units, num_lstm_layers : int
        Size of the hidden state, and number of layers, of each language model.
    tie_weights, dropout : bool, float
        Use the embedding as output layer too; share of cell outputs set to zero in training.
    learning_rate, weight_decay, max_grad_norm : float
        Of AdamW, and the norm that gradients are clipped to.
    batch_size : int
        Texts per training batch; labels with few texts use smaller batches.
    max_epochs, patience : int
        Training ends after `max_epochs`, or after `patience` epochs without a better validation loss; the
        best weights are kept.
    warmup : float
        Share of the steps in which the learning rate rises; then it falls as half a cosine.
    disguised_label : str, default="auto"
        Label whose writers disguise their texts, with unusual spelling or words of other labels added
        (recipe ``tuned``). Undisguised variants of a text are scored too; see
        `lmclassify.classify.variants`. ``auto``: the label spam, if there is one. ``none``: no label.
    validation_fraction : float
        Share of each label's texts held out for early stopping and, with recipe ``tuned``, for fitting the
        combination. A label with a single text has none. With fewer than 2,000 texts, or 0, recipe
        ``tuned`` cross-fits instead: models of one part score the other, and the final models are fitted
        on all texts.
    keep_held_out : bool, default=False
        Keep a sample of at most some thousand held-out texts in the model (recipe ``tuned``). `add_label`
        uses them; without them it uses texts sampled from the other labels' language models.
    fit_prior : bool, default=True
        Use the labels' shares of the training texts as priors; otherwise all priors are equal.
    class_prior : array-like of float, (K,), or mapping of label to float, optional
        Priors to use instead, positive; they are scaled to sum to 1.
    class_weight : mapping of label to float or "balanced", optional
        Factors of the weights of each label's texts; they change the priors too. ``balanced``: inversely
        proportional to the labels' numbers of texts.
    random_state : int, RandomState or None
        Seed: an integer makes results reproducible.
    n_jobs : int or None
        Number of threads. None: all processors. Results do not depend on it.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where training runs.
    time : float, str or None, default=None
        Seconds that `fit` may take, or text such as ``"2m"``. It ends earlier if it is done; if the n-gram
        models of all texts take too long, they learn from a sample. Only with a limit the fitted model
        depends on the clock.
    verbose : int, default=0
        1: `fit` prints its stages, held-out accuracy and log-loss, and the time left on standard error.
    callback : callable, optional
        Called as ``callback(label, record)`` after each epoch, in the thread that trains. The label is "all
        labels" for the background model and None in the joint phase; see `lmclassify.lm.neural.trainer`.

    Attributes
    ----------
    classes_ : ndarray, (K,)
        The labels, sorted.
    class_log_prior_ : ndarray of float, (K,)
    model_ : FittedModel
        The fitted model. It can be saved, loaded and used without torch and scikit-learn.
    """

    def __init__(
        self,
        *,
        recipe: str = _DEFAULT.recipe,
        vectors: str = _DEFAULT.vectors,
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
        time: float | str | None = None,
        verbose: int = 0,
        callback: ProgressCallback | None = None,
    ) -> None:
        self.recipe = recipe
        self.vectors = vectors
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
        self.time = time
        self.verbose = verbose
        self.callback = callback

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def fit(
        self,
        X: Texts,
        y: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        unlabelled: Texts | None = None,
        groups: Iterable[Any] | None = None,
        *,
        text: ColumnName | Sequence[ColumnName] | None = None,
        label: ColumnName | None = None,
    ) -> LMClassifier:
        """Fit the model. For Ray and checkpoints see `lmclassify.classify.training.fit.ClassifierTrainer`.

        Ctrl-C ends training early: recipe ``tuned`` keeps the model of the n-gram experts, ``plain`` the best
        weights so far, with a warning. Before there is a model it raises KeyboardInterrupt.

        Parameters
        ----------
        X : iterable of str, (n,), or data frame
            Missing texts are an error, but empty texts in a data frame, with a warning that counts them.
        y : array-like, (n,)
            Labels: str, int, float or bool. Not needed with `label`.
        sample_weight : array-like of float, (n,), optional
            In losses and priors; not negative.
        unlabelled : iterable of str, or data frame, optional
            Further texts without labels. Recipes ``tuned`` and ``ngram`` learn from them with guessed labels
            (self-training), at most 3,000 of them and none with more than 5,000 labelled texts.
        groups : iterable of str or int, (n,), optional
            Each text's thread, sender or the like, if new texts come from others: texts of one group are
            never both trained on and held out. Texts of group None or NaN, or of a label with one group,
            stand alone. None: equal texts are groups if more than a third of the texts repeat others.
        text : str, int or list of these, optional
            Column of the data frame `X`; several make one text, each a line of it. By default the text column
            is recognised as the command line does it. All methods read the same columns of data frames.
        label : str or int, optional
            Column of the data frame `X`, instead of `y`.

        Returns
        -------
        LMClassifier
            The estimator itself.

        Raises
        ------
        DataError, OptionError
            If texts, labels, weights or groups cannot be used, or a parameter is invalid (ValueErrors).
        """
        texts, y, unlabelled, column = read_training_data(X, y, unlabelled, text, label)
        stages: list[FittedModel] = []
        trainer = ClassifierTrainer(
            settings=Settings(**{item.name: getattr(self, item.name) for item in fields(Settings)}),
            class_prior=self.class_prior,
            class_weight=self.class_weight,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            device=self.device,
            callback=self.callback,
            on_stage=stages.append,
            time_limit=None if self.time is None else TimeLimit(parse_time(self.time)),
            display=LineDisplay(partial(print, file=sys.stderr, flush=True)) if self.verbose else None,
        )
        try:
            trainer.fit(texts, y, sample_weight, unlabelled, groups=groups)
        except KeyboardInterrupt:
            if not stages:
                raise
            kept = f"interrupted: the model of stage {len(stages)} is kept"
            warnings.warn(kept, LMClassifyWarning, stacklevel=2)
        stages[-1].text_column = column
        names = column_list(column)
        stages[-1].reading = Reading(
            text_columns=tuple(names) if all(isinstance(name, str) for name in names) else None,
            label_column=label if isinstance(label, str) else None,
        )
        return self._set_model(stages[-1])

    def add_label(self, label: Any, X: Texts) -> LMClassifier:
        """Add a label; the other labels' models stay as they are.

        No texts of the other labels are needed. With recipe ``tuned`` the new label is told apart from
        held-out texts that the model has kept (`keep_held_out`), or from texts sampled from the other
        labels' language models. Without kept texts, thresholds assume that the new label's scores of
        held-out texts are distributed as those of the sampled texts.

        Parameters
        ----------
        label : str, int, float or bool
            A new label, of the other labels' type.
        X : iterable of str, (n,)
            The label's texts, at least one.

        Returns
        -------
        LMClassifier
            The estimator itself.

        Raises
        ------
        DataError
            If texts cannot be used, or the label exists or has another type.
        """
        from lmclassify.classify.incremental.add_label import add_label  # torch

        model = self._fitted()
        context, seed = self._context(model), draw_seed(self.random_state)
        return self._set_model(add_label(model, label, model.read(X), context, seed))

    def update(self, X: Texts, y: Iterable[Any], learned_as: Iterable[Any] | None = None) -> LMClassifier:
        """Learn some more texts, such as corrections, one after the other; see `FittedModel.learn`.

        Unlike `partial_fit`, it makes a new `model_`, with a revision in its training record.

        Parameters
        ----------
        X : iterable of str, (n,)
        y : iterable, (n,)
            Labels of the model.
        learned_as : iterable, (n,), optional
            The label that each text moves from; None for none.

        Returns
        -------
        LMClassifier
            The estimator itself.

        Raises
        ------
        DataError
            If texts or labels cannot be used. Nothing is learned then.
        """
        model, wrong = self._fitted(), None if learned_as is None else list(learned_as)
        return self._set_model(update(model, model.read(X), list(y), wrong))

    def learn(self, text: str, label: Any, *, undo: bool = False, from_label: Any = None) -> Learned:
        """See `FittedModel.learn`."""
        return self._fitted().learn(text, label, undo=undo, from_label=from_label)

    def partial_fit(self, X: Texts, y: Iterable[Any], classes: Iterable[Any] | None = None) -> LMClassifier:
        """Learn some texts one after the other; see `learn`.

        Parameters
        ----------
        X : iterable of str, (n,)
        y : iterable, (n,)
            Labels.
        classes : iterable, optional
            All labels. Needed only before there is a model: an empty one is made, of recipe ``online``.

        Returns
        -------
        LMClassifier
            The estimator itself.

        Raises
        ------
        DataError, OptionError
            If texts or labels cannot be used, or there is neither a model nor `classes`.
        """
        if not hasattr(self, "model_"):
            if classes is None:
                raise OptionError(
                    "partial_fit needs all labels at first: partial_fit(texts, labels, classes=[...])"
                )
            self._set_model(empty_model(classes))
        texts, labels = self._fitted().read(X), list(y)
        if len(texts) != len(labels):
            raise DataError(f"found {counted(len(texts), 'text')} and {counted(len(labels), 'label')}")
        for code in labels:
            self._fitted().label_index(code)
        for text, label in zip(texts, labels, strict=True):
            self.learn(text, label)
        return self

    def remove_label(self, label: Any) -> LMClassifier:
        """Remove a label; the other labels' models stay as they are.

        Returns
        -------
        LMClassifier
            The estimator itself.

        Raises
        ------
        DataError
            If there is no such label, or no other.
        """
        return self._set_model(remove_label(self._fitted(), label))

    def _context(self, model: FittedModel) -> FitContext:
        check_device(self.device)
        threads = number_of_threads(self.n_jobs)
        return FitContext(model.settings, torch_device(self.device), threads, self.callback)

    def _set_model(self, model: FittedModel) -> LMClassifier:
        self.classes_, self.class_log_prior_, self.model_ = model.classes_, model.log_priors, model
        return self

    def generate(self, label: object, n: int = 1, **options: Any) -> list[str]:
        """See `FittedModel.generate`; without a seed, an integer random_state is the seed."""
        if isinstance(self.random_state, (int, np.integer)):
            options.setdefault("seed", int(self.random_state))
        return self._fitted().generate(label, n, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """See `FittedModel.save`."""
        self._fitted().save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LMClassifier:
        """Read a saved model as a fitted estimator; see `FittedModel.load`.

        Parameters that are no plain data (a RandomState, a callback), `time` and `verbose` are the defaults
        again.
        """
        model = FittedModel.load(path)
        try:
            classifier = cls(**estimator_parameters(model))
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(
                f"{Path(path) / CONFIG} holds parameters of no estimator: {summarize_error(error)}; "
                "make it again"
            ) from error
        return classifier._set_model(model)

    def _fitted(self) -> FittedModel:
        check_is_fitted(self)
        model: FittedModel = self.model_
        model.n_jobs = self.n_jobs
        return model
