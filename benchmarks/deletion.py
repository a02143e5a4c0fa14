"""Explanations put to the test: how far the decision moves when the word that speaks most for it is deleted.

``python -m benchmarks.deletion MODEL DATA`` takes 200 texts of DATA, deletes from each one word by
`explain`, by LIME (Ribeiro et al. 2016; where the package ``lime`` is installed) and at random, and prints by
how much the predicted label's log-odds against all others fall.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.model import FittedModel, load
from lmclassify.classify.thresholds import log_odds
from lmclassify.datasets.labelled import read_tables

Array = npt.NDArray[np.float64]
Chooser = Callable[[str, int], int]
"""A text and its predicted label's index to the place of a word."""

_TEXTS, _LIME_SAMPLES = 200, 1000
_WORD = re.compile(r"\S+")


def by_explain(model: FittedModel) -> Chooser:
    """Choose the word with the largest part in the decision."""

    def choose(text: str, label: int) -> int:
        words = model.explain(text, model.classes_[label].item())["words"]
        return int(np.argmax([word["part"] for word in words]))

    return choose


def by_lime(model: FittedModel) -> Chooser:
    """Choose the word with LIME's largest weight for the label."""
    from lime.lime_text import LimeTextExplainer

    explainer = LimeTextExplainer(split_expression=r"\s+", bow=False, random_state=0)

    def choose(text: str, label: int) -> int:
        words = len(_WORD.findall(text))
        found = explainer.explain_instance(
            text, model.predict_proba, labels=(label,), num_features=words, num_samples=_LIME_SAMPLES
        )
        return int(max(found.as_map()[label], key=lambda pair: pair[1])[0])

    return choose


def at_random(seed: int) -> Chooser:
    """Choose any word."""
    rng = np.random.default_rng(seed)
    return lambda text, label: int(rng.integers(len(_WORD.findall(text))))


def without(text: str, place: int) -> str:
    """Return a text without one of its words."""
    words = _WORD.findall(text)
    return " ".join(words[:place] + words[place + 1 :])


def measure(model: FittedModel, texts: Sequence[str], choosers: dict[str, Chooser]) -> list[str]:
    """Return lines of a Markdown table.

    Parameters
    ----------
    model : FittedModel
    texts : sequence of str
        Of two words at least.
    choosers : dict of str to callable
    """
    log_posteriors = model.predict_log_proba(texts)
    labels = log_posteriors.argmax(axis=1)
    before = _odds(log_posteriors, labels)
    lines = [
        f"| {len(texts)} texts, word deleted | log-odds fall by, mean | median | label changes | ms a text |",
        "|---|---|---|---|---|",
    ]
    for name, choose in choosers.items():
        started = time.perf_counter()
        places = [choose(text, int(label)) for text, label in zip(texts, labels, strict=True)]
        each = (time.perf_counter() - started) / len(texts) * 1000
        after = model.predict_log_proba([without(text, at) for text, at in zip(texts, places, strict=True)])
        fall = before - _odds(after, labels)
        changed = (after.argmax(axis=1) != labels).mean()
        lines.append(f"| {name} | {fall.mean():.3f} | {np.median(fall):.3f} | {changed:.1%} | {each:.0f} |")
    return lines


def _odds(log_posteriors: Array, labels: npt.NDArray[np.intp]) -> Array:
    return np.array(
        [log_odds(row[np.newaxis], label)[0] for row, label in zip(log_posteriors, labels, strict=True)]
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Explanations put to the test by deleting words.")
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--texts", type=int, default=_TEXTS)
    options = parser.parse_args()
    model = load(options.model)
    texts = [
        text for text in read_tables([options.data], say=lambda line: None).texts if len(text.split()) > 1
    ]
    chosen = np.random.default_rng(0).choice(len(texts), min(options.texts, len(texts)), replace=False)
    choosers = {"by explain": by_explain(model)}
    if importlib.util.find_spec("lime") is not None:
        choosers["by LIME"] = by_lime(model)
    choosers["at random"] = at_random(0)
    print("\n".join(measure(model, [texts[index] for index in chosen.tolist()], choosers)))


if __name__ == "__main__":
    main()
