"""The public fitted model: a predictor that also explains, suggests words, and is saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lmclassify.classify import explain, next_words, storage
from lmclassify.classify.explain import Explanation, InformativeWord
from lmclassify.classify.next_words import Suggestion
from lmclassify.classify.predictor import PlainPredictor, Predictor
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.persistence.layout import StoredModel
from lmclassify.persistence.reading import read_model


class FittedModel(Predictor):
    """A fitted model. Scores texts with numpy; needs neither torch nor scikit-learn.

    `LMClassifier.fit` makes one, and `lmclassify.load` reads a saved one.
    """

    def explain(self, text: str, label: object = None, against: object = None) -> Explanation:
        """Explain why a text has its label: what each word adds to the decision.

        Parameters
        ----------
        text : str
        label : object, optional
            The label to explain; by default the predicted one.
        against : object, optional
            The label to compare it with; by default the likeliest of the others.

        Returns
        -------
        dict
            See `lmclassify.classify.explain.Explanation`. Contributions, in nats, sum to the joint
            log-probabilities; labels are given as str. Notebooks show it as coloured text.

        Raises
        ------
        OptionError
            If the model has no such label, or both are the same.
        """
        return explain.explain(self, text, label, against)

    def informative_words(self, texts: Iterable[str], n: int = 10) -> dict[str, list[InformativeWord]]:
        """Return the words of some texts that speak most for each label.

        Parameters
        ----------
        texts : iterable of str
        n : int, default=10
            Largest number of words per label.

        Returns
        -------
        dict of str to list of dict
            By label; ``word``, ``count``, ``contribution`` (mean) and ``total`` in nats, largest total first.
            ``part`` is a deprecated alias of ``contribution``, until version 0.9.
        """
        return explain.informative_words(self, texts, n)

    def suggest(self, prefix: str, label: object = None, n: int = 5) -> list[Suggestion]:
        """Return the likeliest next words after the words of an unfinished text.

        Parameters
        ----------
        prefix : str
            Its words are taken as complete; "" asks for first words.
        label : object, optional
            Ask this label's language model (with recipe tuned, interpolated half and half with the label's
            token n-gram model). By default the models of all labels, mixed by how likely each label is given
            the prefix.
        n : int, default=5
            Largest number of words.

        Returns
        -------
        list of dict
            ``word`` and ``probability``, likeliest first. The rest of the probability belongs to other words,
            to the end of the text and, with a word tokenizer, to unknown words.

        Raises
        ------
        OptionError
            If the model has no such label or reads texts backward only, or `n` is below 1.
        """
        return next_words.suggest(self, prefix, label, n)

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
        """Return texts sampled from one label's language model, the same that `suggest` asks.

        Parameters
        ----------
        label : object
            One of `classes_`.
        n : int, default=1
            Number of texts.
        prefix : str, default=""
            What each text begins with; its words are taken as complete.
        temperature, top_k, top_p, max_tokens, seed
            See `lmclassify.lm.inference.generation.sample`. The same seed gives the same texts.

        Returns
        -------
        list of str
            Spaces and letter case are those that the tokenizer keeps: single spaces, and with a word
            tokenizer the usual ones around punctuation.

        Raises
        ------
        OptionError
            If the model has no such label, or an option makes no sense.
        """
        return next_words.generate(
            self,
            label,
            n,
            prefix=prefix,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            max_tokens=max_tokens,
            seed=seed,
        )

    def save(self, path: str | os.PathLike[str], *, replaces: str | None = None) -> None:
        """Write the model into a folder; see `lmclassify.persistence.layout`.

        Parameters
        ----------
        path : path
        replaces : str, optional
            Write only if the folder still holds the model with this checksum; see
            `lmclassify.persistence.reading.model_checksum`.

        Raises
        ------
        OutputError
            If the folder holds something else than a model, or cannot be written.
        """
        storage.save(self, path, replaces=replaces)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FittedModel:
        """Read a model from a folder; see `lmclassify.load`."""
        return load(path)


class PlainModel(FittedModel, PlainPredictor):
    """The fitted model of recipe plain."""


class TunedModel(FittedModel, TunedPredictor):
    """The fitted model of recipe tuned."""


def load(path: str | os.PathLike[str]) -> FittedModel:
    """Read a fitted model from a folder, without torch or scikit-learn.

    Raises
    ------
    ModelError
        If there is none, it is damaged, or a newer version made it.
    """
    return from_stored(read_model(path))


def from_stored(stored: StoredModel) -> FittedModel:
    """Return the model that a folder's content describes; see `lmclassify.classify.storage.to_stored`."""
    fields = storage.fields_from_stored(stored)
    return TunedModel(**fields) if "combination" in fields else PlainModel(**fields)
