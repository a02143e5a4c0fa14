"""The public fitted model: a predictor that also explains, suggests words, and is saved and loaded."""

from __future__ import annotations

import os

from lmclassify.classify import explain, next_words, storage
from lmclassify.classify.data_frames import Texts
from lmclassify.classify.explain import Explanation, InformativeWord
from lmclassify.classify.next_words import Suggestion
from lmclassify.classify.online import teach
from lmclassify.classify.online.lessons import Lessons
from lmclassify.classify.online.stored_lessons import replay
from lmclassify.classify.online.teach import Learned
from lmclassify.classify.predictor import PlainPredictor, Predictor
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.mail.messages import read_message
from lmclassify.persistence.journal import Journal, read_model_with_journal
from lmclassify.persistence.layout import StoredModel
from lmclassify.persistence.reading import as_model_error


class FittedModel(Predictor):
    """A fitted model. Scores texts with numpy; needs neither torch nor scikit-learn.

    `LMClassifier.fit` makes one (`model_`), and `lmclassify.load` reads a saved one.
    """

    def explain(
        self, text: str, label: object = None, against: object = None, *, brief: bool = False
    ) -> Explanation:
        """Explain why a text has its label: what each word adds to the decision.

        Parameters
        ----------
        text : str
        label : object, optional
            The label to explain; by default the predicted one.
        against : object, optional
            The label to compare it with; by default the likeliest of the others.
        brief : bool, default=False
            Give contributions and log-probabilities of words for these two labels only. This takes much less
            time with many labels.

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
        return explain.explain(self, text, label, against, brief=brief)

    def informative_words(self, texts: Texts, n: int = 10) -> dict[str, list[InformativeWord]]:
        """Return the words of some texts that speak most for each label.

        Parameters
        ----------
        texts : iterable of str, or data frame
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
            token n-gram model). By default the models of all labels (of the ten likeliest, if there are
            more), mixed by how likely each label is given the prefix.
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
        """Return texts sampled from one label's language model, which `suggest` uses too.

        Parameters
        ----------
        label : object
            One of `classes_`.
        n : int, default=1
            Number of texts.
        prefix : str, default=""
            What each text begins with; its words are taken as complete.
        temperature : float, default=1.0
            Log-probabilities are divided by it; 0 always takes the most probable token.
        top_k : int, optional
            Sample from this number of most probable tokens only.
        top_p : float, optional
            Sample from the most probable tokens whose probabilities sum to at least this.
        max_tokens : int, default=100
            Largest number of tokens of a text.
        seed : int, optional
            The same seed gives the same texts.

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

    def learn(self, text: str, label: object, *, undo: bool = False, from_label: object = None) -> Learned:
        """Teach the model one text, such as a correction, or take a lesson back; takes milliseconds.

        The text gets its label, as do near copies of it; other texts keep theirs as far as possible. Nothing
        that was fitted changes: lessons are weights of their own (see `lmclassify.classify.online`), which
        add to the joint log-probabilities. A text that was learned with the same label is not counted again;
        with another label, the new lesson replaces the old one.

        Parameters
        ----------
        text : str
        label : object
            The text's true label, one of `classes_`. With `undo`, the label that it was taught.
        undo : bool, default=False
            Take the text's lesson back.
        from_label : object, optional
            The label that the text moves from, such as the folder of a mailbox.

        Returns
        -------
        dict
            ``id`` (of the text), ``label``, ``changed``, ``predicted_before`` and ``predicted_after``; see
            `lmclassify.classify.online.teach.Learned`.

        Raises
        ------
        OptionError
            If the model has no such label, or the text was not learned and cannot be taken back.
        """
        return teach.undo(self, text, label) if undo else teach.learn(self, text, label, from_label)

    def read_mail(self, data: bytes) -> str:
        """Return the text of a mail message, read as the training mail was.

        Parameters
        ----------
        data : bytes
            The message as it was received, however malformed. Its first 256 KiB are read.

        Returns
        -------
        str
            The text that the other methods take. A model that was not trained on mail reads the subject.

        Examples
        --------
        >>> import lmclassify
        >>> model = lmclassify.load("mail-model")  # doctest: +SKIP
        >>> model.predict([model.read_mail(open("message.eml", "rb").read())])  # doctest: +SKIP
        array(['ham'], dtype='<U4')
        """
        fields = self.reading.mail_fields
        return read_message(data, fields).text(fields)

    def save(self, path: str | os.PathLike[str], *, replaces: str | None = None) -> None:
        """Write the model into a folder; see `lmclassify.persistence.layout`.

        Parameters
        ----------
        path : path
            The folder.
        replaces : str, optional
            Write only if the folder still holds the model with this state and it has learned nothing since;
            see `lmclassify.persistence.journal.model_state`.

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

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    FittedModel

    Raises
    ------
    ModelError
        If there is none, it is damaged, or a newer version made it.
    """
    return load_with_journal(path)[0]


def load_with_journal(path: str | os.PathLike[str]) -> tuple[FittedModel, StoredModel, Journal]:
    """Read a fitted model with the lessons of its journal, and what it was read from; see `load`."""
    stored, journal, records = read_model_with_journal(path)
    model = from_stored(stored)
    if records:
        model.lessons = model.lessons or Lessons(len(model.classes_))
        with as_model_error(str(journal.path)):
            replay(model.lessons, records)
    return model, stored, journal


def from_stored(stored: StoredModel) -> FittedModel:
    """Return the model that a folder's content describes; see `lmclassify.classify.storage.to_stored`."""
    fields = storage.fields_from_stored(stored)
    return TunedModel(**fields) if "combination" in fields else PlainModel(**fields)
