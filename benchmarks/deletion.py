"""Deletion test of explanations: how much the decision changes when its most important word is deleted.

``python -m benchmarks.deletion MODEL DATA`` samples 200 texts of DATA and deletes one word from each: the
one that `explain` ranks first, the one that LIME ranks first (Ribeiro et al. 2016; if the package ``lime``
is installed), or a random one. It prints by how much the log-odds of the predicted label against all others
fall.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.common import read_table, table_head
from lmclassify.classify.model import FittedModel, load
from lmclassify.classify.thresholds import log_odds
from lmclassify.text.words import words_of

Array = npt.NDArray[np.float64]
Chooser = Callable[[str, int], int]
"""Maps a text and the index of its predicted label to the position of a word."""

NUM_TEXTS, NUM_LIME_SAMPLES = 200, 1000


def by_explain(model: FittedModel) -> Chooser:
    """Choose the word with the largest contribution to the label."""

    def choose(text: str, label: int) -> int:
        words = model.explain(text, model.classes_[label].item())["words"]
        starts = [start for start, _ in words_of(text)]  # an explanation may join several to one
        return starts.index(words[int(np.argmax([word["contribution"] for word in words]))]["start"])

    return choose


def by_lime(model: FittedModel) -> Chooser:
    """Choose the word with LIME's largest weight for the label."""
    from lime.lime_text import LimeTextExplainer

    explainer = LimeTextExplainer(split_expression=_words, bow=False, random_state=0)

    def choose(text: str, label: int) -> int:
        words = len(words_of(text))
        found = explainer.explain_instance(
            text, model.predict_proba, labels=(label,), num_features=words, num_samples=NUM_LIME_SAMPLES
        )
        return int(max(found.as_map()[label], key=lambda pair: pair[1])[0])

    return choose


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in words_of(text)]


def at_random(seed: int) -> Chooser:
    """Choose a random word."""
    rng = np.random.default_rng(seed)
    return lambda text, label: int(rng.integers(len(words_of(text))))


def delete_word(text: str, position: int) -> str:
    """Return the text without one of its words."""
    start, end = words_of(text)[position]
    return " ".join(f"{text[:start]}{text[end:]}".split())


def measure(model: FittedModel, texts: Sequence[str], choosers: dict[str, Chooser]) -> list[str]:
    """Return lines of a Markdown table.

    Parameters
    ----------
    model : FittedModel
    texts : sequence of str
        Each of at least two words.
    choosers : dict of str to callable
    """
    log_posteriors = model.predict_log_proba(texts)
    labels = log_posteriors.argmax(axis=1)
    before = _odds(log_posteriors, labels)
    columns = ("log-odds fall by, mean", "median", "label changes", "ms per text")
    lines = table_head(f"{len(texts)} texts, word deleted", *columns)
    for name, choose in choosers.items():
        started = time.perf_counter()
        positions = [choose(text, int(label)) for text, label in zip(texts, labels, strict=True)]
        milliseconds = (time.perf_counter() - started) / len(texts) * 1000
        after = model.predict_log_proba([delete_word(*pair) for pair in zip(texts, positions, strict=True)])
        fall = before - _odds(after, labels)
        changed = (after.argmax(axis=1) != labels).mean()
        lines.append(
            f"| {name} | {fall.mean():.3f} | {np.median(fall):.3f} | {changed:.1%} | {milliseconds:.0f} |"
        )
    return lines


def _odds(log_posteriors: Array, labels: npt.NDArray[np.intp]) -> Array:
    return np.array(
        [log_odds(row[np.newaxis], label)[0] for row, label in zip(log_posteriors, labels, strict=True)]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Deletion test of explanations.")
    parser.add_argument("model", help="folder of a fitted model")
    parser.add_argument("data", help="table with texts")
    parser.add_argument("--texts", type=int, default=NUM_TEXTS, help="number of texts (default: 200)")
    options = parser.parse_args()
    model = load(options.model)
    texts = [text for text in read_table(options.data).texts if len(words_of(text)) > 1]
    chosen = np.random.default_rng(0).choice(len(texts), min(options.texts, len(texts)), replace=False)
    choosers = {"by explain": by_explain(model)}
    if importlib.util.find_spec("lime") is not None:
        choosers["by LIME"] = by_lime(model)
    choosers["at random"] = at_random(0)
    print("\n".join(measure(model, [texts[index] for index in chosen.tolist()], choosers)))


if __name__ == "__main__":
    main()
