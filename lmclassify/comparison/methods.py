"""The classifiers that `lmclassify benchmark` compares, by name; nothing heavy is imported before use."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Protocol

import lmclassify
from lmclassify.classify.settings import Settings
from lmclassify.errors import OptionError, listing, shorten


@dataclass(frozen=True)
class Setup:
    """What every classifier of a run is told."""

    seed: int
    threads: int
    device: str


class Classifier(Protocol):
    """What the benchmark needs of a classifier."""

    classes_: Any

    def fit(self, texts: Sequence[str], labels: Sequence[str], /) -> Any:
        """Learn."""

    def predict_proba(self, texts: Sequence[str], /) -> Any:
        """Return probabilities, (n, K)."""


@dataclass(frozen=True)
class Method:
    """A classifier to compare."""

    key: str
    description: str
    build: Callable[[Setup], Classifier]
    """Can be pickled: it is called in another process."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Results with other settings are other results."""
    ours: bool = False
    deterministic: bool = False
    """Fitted twice on the same texts, it gives the same figures whatever the seed."""
    default: bool = True
    """Compared unless other methods are asked for."""
    module: str | None = None
    """What must be installed for it; an extra of the same name brings it."""

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return self.module is None or importlib.util.find_spec(self.module) is not None


def _build_ours(overrides: Mapping[str, Any], setup: Setup) -> Classifier:
    return lmclassify.LMClassifier(
        **overrides, random_state=setup.seed, n_jobs=setup.threads, device=setup.device
    )


def _build_rival(name: str, setup: Setup) -> Classifier:
    from lmclassify.comparison import baselines as rivals

    return rivals.Baseline(getattr(rivals, name))


def _build_fast_text(setup: Setup) -> Classifier:
    from lmclassify.comparison import baselines as rivals

    return rivals.Baseline(partial(rivals.fast_text, setup.threads, setup.seed))


def _build_ngrams_alone(setup: Setup) -> Classifier:
    from lmclassify.comparison.ngrams_alone import NgramsAlone

    return NgramsAlone(setup.seed, setup.threads)


def _ours(key: str, description: str, *, default: bool = True, **overrides: Any) -> Method:
    settings = asdict(Settings(**overrides))
    build = partial(_build_ours, overrides)
    return Method(key, description, build, settings, ours=True, default=default)


def _rival(key: str, description: str, function: str) -> Method:
    return Method(key, description, partial(_build_rival, function), deterministic=True)


METHODS: dict[str, Method] = {
    method.key: method
    for method in (
        _ours("lmclassify", "LMClassifier with its defaults"),
        _ours("plain", "LMClassifier, recipe plain", default=False, recipe="plain"),
        Method("ngrams", "n-gram parts of LMClassifier, without LSTMs", _build_ngrams_alone, default=False),
        _rival("svm", "LinearSVC on TF-IDF of words 1-2 and characters 2-5", "svm"),
        _rival("logreg", "LogisticRegression(C=10) on TF-IDF of words 1-2", "logistic_regression"),
        _rival("nb", "MultinomialNB(0.3) on counts of words 1-2", "naive_bayes"),
        _rival("cnb", "ComplementNB(0.3) on TF-IDF of words 1-2", "complement_naive_bayes"),
        _rival("nbsvm", "NB-SVM (Wang & Manning 2012) on words 1-2", "nb_svm"),
        Method("fasttext", "fastText, words 1-2, 25 epochs", _build_fast_text, module="fasttext"),
    )
}


def choose_methods(names: Sequence[str] | None) -> list[Method]:
    """Return methods by name, or the default ones that are installed.

    Raises
    ------
    OptionError
        If a name is unknown or given twice, or its library is not installed.
    """
    if names is None:
        return [method for method in METHODS.values() if method.default and method.installed]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        wrong = listing(map(shorten, unknown))
        raise OptionError(f"--methods: unknown {wrong}; known are {listing(METHODS)}")
    twice = {name: None for name in names if names.count(name) > 1}
    if twice:
        raise OptionError(f"--methods names {listing(twice)} twice")
    chosen = [METHODS[name] for name in names]
    for method in chosen:
        if not method.installed:
            raise OptionError(
                f'--methods: {method.key} is not installed: pip install "lmclassify[{method.module}]"'
            )
    return chosen
