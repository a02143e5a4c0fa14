"""Static word vectors, read from the package wordllama, a model2vec folder or a text file.

They tell which words are alike before any text is labelled. Only their files are read: neither package is
imported.

Shapes: V words, T tokens, d dimensions.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
import tokenizers

from lmclassify.errors import OptionError, printable
from lmclassify.extras import install_extra

Floats = npt.NDArray[np.float32]

MAX_WORDS = 50_000
"""Words that are read from a text file, the first ones: each takes space in a model."""

_WORD = re.compile(r"\w+|[^\w\s]")
_CONTINUES = "##"  # begins the WordPiece tokens that continue a word
_BEGINS = ("▁", "Ġ")  # one of them begins the tokens that begin a word, in the other kinds of vocabularies


@dataclass(frozen=True)
class TokenVectors:
    """Vectors of the tokens of a tokenizer, which give a vector to every word."""

    tokenizer: tokenizers.Tokenizer
    array: Floats
    """(T, d)"""

    def word(self, word: str) -> Floats:
        """Return the mean vector of a word's tokens, (d,)."""
        tokens = self.tokenizer.encode(word, add_special_tokens=False).ids
        mean: Floats = self.array[tokens].mean(axis=0) if tokens else np.zeros_like(self.array[0])
        return mean


@dataclass(frozen=True)
class WordVectors:
    """Vectors of words in lower case."""

    words: tuple[str, ...]
    """V, without repetition."""
    array: Floats
    """(V, d)"""
    tokens: TokenVectors | None = None
    """Gives vectors to other words, too."""

    def with_words(self, words: Sequence[str]) -> WordVectors:
        """Return the vectors with those of more words, as far as they have any."""
        known = set(self.words)
        new = [word for word in dict.fromkeys(words) if word not in known]
        if self.tokens is None or not new:
            return self
        added = np.array([self.tokens.word(word) for word in new], dtype=np.float32)
        has_vector = np.asarray(added.any(axis=1))
        names = [word for word, has in zip(new, has_vector.tolist(), strict=True) if has]
        return WordVectors((*self.words, *names), np.vstack([self.array, added[has_vector]]), self.tokens)


def load_word_vectors(source: str) -> WordVectors | None:
    """Return word vectors; None if there are none.

    Parameters
    ----------
    source : str
        ``none``; ``wordllama``: those of the package of this name; ``auto``: the same if it is installed; the
        path of a folder with a model2vec model (``model.safetensors``, ``tokenizer.json``), or of a text
        file with a word and its numbers in each line, as word2vec, GloVe and fastText write them.

    Raises
    ------
    OptionError
        If the vectors are missing or damaged.
    """
    if source in ("auto", "wordllama"):
        package = _wordllama_files()
        if package is None and source == "wordllama":
            raise OptionError(f"vectors: the package wordllama is not installed: {install_extra('vectors')}")
        return None if package is None else _read_token_vectors(*package)
    if source == "none":
        return None
    path = Path(source.removeprefix("model2vec:"))
    if path.is_dir():
        return _read_token_vectors(path / "model.safetensors", path / "tokenizer.json")
    return _read_text_file(path)


def _wordllama_files() -> tuple[Path, Path] | None:
    """Return the package wordllama's files of vectors and of the tokenizer, if it is installed."""
    found = importlib.util.find_spec("wordllama")
    for folder in (found.submodule_search_locations or []) if found else []:
        vectors = sorted(Path(folder, "weights").glob("*.safetensors"))
        vocabularies = sorted(Path(folder, "tokenizers").glob("*_config.json"))
        if vectors and vocabularies:
            return vectors[0], vocabularies[0]
    return None


def _read_token_vectors(vectors: Path, vocabulary: Path) -> WordVectors:
    """Read a tokenizer and its tokens' vectors, and the words that are one token.

    A word that is a token in capital letters only, such as a name, has that token's vector.
    """
    try:
        (array,) = safetensors.numpy.load_file(vectors).values()
        array = array.astype(np.float32)
        content = json.loads(vocabulary.read_text(encoding="utf-8"))
        content.update(padding=None, truncation=None)
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # tokenizers raises bare Exception
        raise _unreadable(vectors, vocabulary.name, error) from error
    tokens = tokenizer.get_vocab()
    if array.ndim != 2 or max(tokens.values(), default=0) >= len(array) or not np.isfinite(array).all():
        raise OptionError(f"vectors: {printable(str(vectors))} does not fit the tokenizer {vocabulary.name}")
    begins = next((mark for mark in _BEGINS if any(token.startswith(mark) for token in tokens)), "")
    found: dict[str, int] = {}
    for token, index in sorted(tokens.items(), key=lambda item: (item[0] != item[0].lower(), item[1])):
        word = token.removeprefix(begins).lower()
        starts_word = token.startswith(begins) and not token.startswith(_CONTINUES)
        if starts_word and _WORD.fullmatch(word) and array[index].any():
            found.setdefault(word, index)
    return WordVectors(tuple(found), array[list(found.values())], TokenVectors(tokenizer, array))


def _read_text_file(path: Path) -> WordVectors:
    """Read the first words of a text file of vectors; a first line of two numbers is its size.

    Files of GloVe have a few "words" with blanks, such as ``. . .``; they are left out.
    """
    found: dict[str, Any] = {}
    size, number = 0, 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                parts = line.rstrip().split(" ")
                if number == 1 and len(parts) == 2:
                    continue
                size = size or len(parts) - 1
                word, numbers = " ".join(parts[:-size]), parts[-size:]
                if len(parts) <= size or any(map(_is_number, parts[1:-size])):
                    numbers = parts[1:]  # too few or too many
                vector = np.array(numbers, dtype=np.float32)
                if not size or len(vector) != size or not np.isfinite(vector).all():
                    raise ValueError(f"line {number}: not a word and {size or 'its'} numbers")
                if _WORD.fullmatch(word.lower()):
                    found.setdefault(word.lower(), vector)
                if len(found) == MAX_WORDS:
                    break
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"line {number + 1}", error) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, "", error) from error
    if not found:
        raise OptionError(f"vectors: {printable(str(path))} has no vectors of words")
    return WordVectors(tuple(found), np.array(list(found.values()), dtype=np.float32))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unreadable(path: Path, where: str, error: Exception) -> OptionError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else printable(str(error))
    place = f"{printable(str(path))}{', ' if where else ''}{where}"
    return OptionError(
        f"vectors: {place}: {reason} (a folder of model2vec, a text file with a word and its numbers per "
        "line, wordllama, auto or none is needed)"
    )
