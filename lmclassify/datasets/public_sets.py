"""Public data sets: addresses, licences, citations, and readers of their file formats.

Addresses, sizes and SHA-256 come from the repository of the library `datasets` (huggingface/datasets, commit
040102f1, datasets/NAME/dataset_infos.json, "download_checksums", for NAME sms_spam, trec, sst and ag_news).
A file without a SHA-256 here has no published one; see `lmclassify.datasets.download_cache`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmclassify.datasets.archives import read_tar_members, read_zip_member
from lmclassify.errors import DataError, shorten

_MB = 1 << 20

Example = tuple[str, str, str]
"""Part of the set ("" if it has no parts), text, label."""


@dataclass(frozen=True)
class PublicFile:
    """One file of a set."""

    name: str
    url: str
    max_bytes: int
    """A larger file is refused; a few times its real size."""
    sha256: str | None = None


@dataclass(frozen=True)
class PublicSet:
    """A public set of labelled texts."""

    folder: str
    """Folder in the download cache; sets made from the same files share it."""
    title: str
    licence: str
    citation: str
    files: tuple[PublicFile, ...]
    parts: tuple[str, ...]
    read: Callable[[Sequence[Path]], Iterator[Example]]
    """Yields the examples, given the paths of `files` in order."""


def _sms(paths: Sequence[Path]) -> Iterator[Example]:
    content = _text(read_zip_member(paths[0], "SMSSpamCollection", 8 * _MB), "utf-8", paths[0])
    for line in _lines(content):
        label, tab, text = line.partition("\t")
        if not tab:
            raise _unexpected(paths[0], line)
        yield "", text, label


def _enron_messages(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for name, content in read_tar_members(path, 256 * _MB):
            found = re.fullmatch(r"(?:.*/)?(ham|spam)/[^/]+\.txt", name)
            if found:
                yield "", content.decode("latin-1").replace("\r\n", "\n").strip(), found[1]


def _enron_subjects(paths: Sequence[Path]) -> Iterator[Example]:
    for part, text, label in _enron_messages(paths):
        yield part, text.partition("\n")[0].removeprefix("Subject:").strip(), label


def _trec(paths: Sequence[Path]) -> Iterator[Example]:
    for part, path in zip(("train", "test"), paths, strict=True):
        # The only byte that is not ASCII stands for a space.
        for line in _lines(path.read_bytes().replace(b"\xf0", b" ").decode("latin-1")):
            kind, space, text = line.partition(" ")
            if not space or ":" not in kind:
                raise _unexpected(path, line)
            yield part, text.strip(), kind.partition(":")[0]


_BRACKETS = {"-LRB-": "(", "-RRB-": ")"}
_SENTIMENTS = {"0": "negative", "1": "negative", "2": None, "3": "positive", "4": "positive"}


def _sst2(paths: Sequence[Path]) -> Iterator[Example]:
    for part in ("train", "dev", "test"):
        content = read_zip_member(paths[0], f"trees/{part}.txt", 16 * _MB)
        for tree in _lines(_text(content, "utf-8", paths[0])):
            words = re.findall(r"\([0-4] ([^\s()]+)\)", tree)
            if not words or not re.match(r"\([0-4] ", tree):
                raise _unexpected(paths[0], tree)
            label = _SENTIMENTS[tree[1]]
            if label is not None:  # neutral sentences are not part of the two-label set
                words = [_BRACKETS.get(word, word.replace("\\/", "/").replace("\\*", "*")) for word in words]
                yield part, " ".join(words), label


_NEWS = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}


def _ag_news(paths: Sequence[Path]) -> Iterator[Example]:
    for part, path in zip(("train", "test"), paths, strict=True):
        for row in csv.reader(_lines(_text(path.read_bytes(), "utf-8", path), ends=True)):
            if len(row) != 3 or row[0] not in _NEWS:
                raise _unexpected(path, row)
            yield part, f"{row[1]} {row[2]}".strip(), _NEWS[row[0]]


_CLINC_PARTS = ("train", "val", "test", "oos_train", "oos_val", "oos_test")


def _clinc150(paths: Sequence[Path]) -> Iterator[Example]:
    try:
        found = json.loads(_text(paths[0].read_bytes(), "utf-8", paths[0]))
        examples = [(part, str(text), str(label)) for part in _CLINC_PARTS for text, label in found[part]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{paths[0].name} is not JSON in the format of the data set") from None
    yield from examples


def _lines(content: str, *, ends: bool = False) -> Iterator[str]:
    """Yield lines that are not blank. Texts hold characters at which str.splitlines would split them."""
    for line in content.split("\n"):
        if line.strip():
            yield line + "\n" if ends else line.rstrip("\r")


def _text(content: bytes, encoding: str, path: Path) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: byte {error.start:,} is not valid UTF-8") from None


def _unexpected(path: Path, line: object) -> DataError:
    return DataError(f"{path.name} is not in the format of the data set: {shorten(line)}")


_ENRON_FILES = tuple(
    PublicFile(
        f"enron{number}.tar.gz",
        f"https://www2.aueb.gr/users/ion/data/enron-spam/preprocessed/enron{number}.tar.gz",
        64 * _MB,
    )
    for number in range(1, 7)
)
_ENRON_LICENCE = "none stated by its makers; the ham is of the public Enron corpus"
_ENRON_CITATION = (
    "Metsis, Androutsopoulos, Paliouras: Spam Filtering with Naive Bayes - Which Naive Bayes? CEAS 2006"
)

PUBLIC_SETS: dict[str, PublicSet] = {
    "sms-spam": PublicSet(
        "sms-spam",
        "SMS messages, spam or ham",
        "CC BY 4.0",
        "Almeida, Gómez Hidalgo, Yamakami: Contributions to the Study of SMS Spam Filtering. DocEng 2011",
        (
            PublicFile(
                "smsspamcollection.zip",
                "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
                4 * _MB,
                "1587ea43e58e82b14ff1f5425c88e17f8496bfcdb67a583dbff9eefaf9963ce3",
            ),
        ),
        (),
        _sms,
    ),
    "enron-spam": PublicSet(
        "enron-spam",
        "e-mails with subject and body, spam or ham",
        _ENRON_LICENCE,
        _ENRON_CITATION,
        _ENRON_FILES,
        (),
        _enron_messages,
    ),
    "enron-subjects": PublicSet(
        "enron-spam",
        "the subject lines of enron-spam",
        _ENRON_LICENCE,
        _ENRON_CITATION,
        _ENRON_FILES,
        (),
        _enron_subjects,
    ),
    "trec": PublicSet(
        "trec",
        "questions by type of answer, 6 labels",
        "none stated by its makers",
        "Li, Roth: Learning Question Classifiers. COLING 2002",
        (
            PublicFile(
                "train_5500.label",
                "https://cogcomp.seas.upenn.edu/Data/QA/QC/train_5500.label",
                4 * _MB,
                "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
            ),
            PublicFile(
                "TREC_10.label",
                "https://cogcomp.seas.upenn.edu/Data/QA/QC/TREC_10.label",
                4 * _MB,
                "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
            ),
        ),
        ("train", "test"),
        _trec,
    ),
    "sst2": PublicSet(
        "sst2",
        "film review sentences, positive or negative",
        "none stated by its makers",
        "Socher et al.: Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank. "
        "EMNLP 2013",
        (
            PublicFile(
                "trainDevTestTrees_PTB.zip",
                "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip",
                8 * _MB,
                "5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc",
            ),
        ),
        ("train", "dev", "test"),
        _sst2,
    ),
    "ag-news": PublicSet(
        "ag-news",
        "news, title and lead, 4 labels",
        "research and other non-commercial use",
        "Zhang, Zhao, LeCun: Character-level Convolutional Networks for Text Classification. NIPS 2015",
        (
            PublicFile(
                "train.csv",
                "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/train.csv",
                128 * _MB,
                "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
            ),
            PublicFile(
                "test.csv",
                "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/test.csv",
                16 * _MB,
                "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
            ),
        ),
        ("train", "test"),
        _ag_news,
    ),
    "clinc150": PublicSet(
        "clinc150",
        "requests to an assistant, 150 labels, and out-of-scope requests",
        "CC BY 3.0",
        "Larson et al.: An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction. "
        "EMNLP 2019",
        (
            PublicFile(
                "data_full.json",
                "https://raw.githubusercontent.com/clinc/oos-eval/master/data/data_full.json",
                16 * _MB,
            ),
        ),
        _CLINC_PARTS,
        _clinc150,
    ),
}
"""Public sets by the name that `lmclassify download` takes."""
