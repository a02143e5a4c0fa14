"""The classifiers that `lmclassify benchmark` compares, by name. Heavy imports wait until one is built."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Protocol

import lmclassify
from lmclassify.classify.settings import Settings
from lmclassify.errors import OptionError, did_you_mean, listing, shorten
from lmclassify.extras import install_extra


@dataclass(frozen=True)
class Setup:
    """Options of a run that every classifier gets."""

    seed: int
    threads: int
    device: str


class Classifier(Protocol):
    """Interface of a compared classifier."""

    classes_: Any

    def fit(self, texts: Sequence[str], labels: Sequence[str], /) -> Any:
        """Train."""

    def predict_proba(self, texts: Sequence[str], /) -> Any:
        """Return probabilities, (n, K)."""


@dataclass(frozen=True)
class Method:
    """A classifier to compare."""

    key: str
    description: str
    build: Callable[[Setup], Classifier]
    """Returns the unfitted classifier. Must be picklable: it is called in another process."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Stored with the results; other settings make other runs."""
    ours: bool = False
    """Whether it is a variant of lmclassify and not a baseline."""
    deterministic: bool = False
    """Whether the seed has no influence on its figures."""
    default: bool = True
    """Whether it is compared if no methods are named."""
    module: str | None = None
    """Package that it needs; the extra of the same name installs it."""

    @property
    def installed(self) -> bool:
        """Whether its package is installed."""
        return self.module is None or importlib.util.find_spec(self.module) is not None


def _build_ours(overrides: Mapping[str, Any], setup: Setup) -> Classifier:
    return lmclassify.LMClassifier(
        **overrides, random_state=setup.seed, n_jobs=setup.threads, device=setup.device
    )


def _build_baseline(name: str, setup: Setup) -> Classifier:
    from lmclassify.comparison import baselines

    return baselines.Baseline(getattr(baselines, name))


def _build_fast_text(setup: Setup) -> Classifier:
    from lmclassify.comparison import baselines

    return baselines.Baseline(partial(baselines.FastText, setup.threads, setup.seed))


def _ours(key: str, description: str, *, default: bool = True, **overrides: Any) -> Method:
    settings = asdict(Settings(**overrides))
    build = partial(_build_ours, overrides)
    return Method(key, description, build, settings, ours=True, default=default)


def _baseline(key: str, description: str, function: str) -> Method:
    return Method(key, description, partial(_build_baseline, function), deterministic=True)


METHODS: dict[str, Method] = {
    method.key: method
    for method in (
        _ours("lmclassify", "LMClassifier with its defaults"),
        _ours("plain", "LMClassifier, recipe plain", default=False, recipe="plain"),
        _ours("ngram", "LMClassifier, recipe ngram", recipe="ngram"),
        _baseline("svm", "LinearSVC on TF-IDF of words 1-2 and characters 2-5", "svm"),
        _baseline("logreg", "LogisticRegression(C=10) on TF-IDF of words 1-2", "logistic_regression"),
        _baseline("nb", "MultinomialNB(0.3) on counts of words 1-2", "naive_bayes"),
        _baseline("cnb", "ComplementNB(0.3) on TF-IDF of words 1-2", "complement_naive_bayes"),
        _baseline("nbsvm", "NB-SVM (Wang & Manning 2012) on words 1-2", "nb_svm"),
        Method("fasttext", "fastText, words 1-2, 25 epochs", _build_fast_text, module="fasttext"),
    )
}


def choose_methods(names: Sequence[str] | None) -> list[Method]:
    """Return methods by name; by default, those that are compared by default and installed.

    Raises OptionError if a name is unknown or given twice, or its package is not installed.
    """
    if names is None:
        return [method for method in METHODS.values() if method.default and method.installed]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        wrong = listing(f"{shorten(name)}{did_you_mean(name, METHODS)}" for name in unknown)
        raise OptionError(f"--methods: unknown {wrong}; known are {listing(METHODS)}")
    twice = {name: None for name in names if names.count(name) > 1}
    if twice:
        raise OptionError(f"--methods names {listing(twice)} twice")
    chosen = [METHODS[name] for name in names]
    for method in chosen:
        if not method.installed:
            raise OptionError(
                f"--methods: {method.key} is not installed: {install_extra(str(method.module))}"
            )
    return chosen
