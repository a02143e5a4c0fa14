"""Next-word prediction, on few texts."""

import csv

import numpy as np
import pytest

from benchmarks import next_words
from benchmarks.kneser_ney import KneserNey
from lmclassify import LMClassifyError
from tests.conftest import TUNED, bundled

pytestmark = pytest.mark.long  # of a script that takes long

TEXTS, LABELS = bundled(limit=120)
NEW = [text for text, label in zip(*bundled("emails.csv", limit=60), strict=True) if label == "spam"][:12]
SPAM = [text for text, label in zip(TEXTS, LABELS, strict=True) if label == "spam"]


def sequences_and_words(model):
    sequences = model.tokenizer.sequences(NEW)
    return sequences, sum(len(text.split()) for text in NEW)


def test_perplexities_are_those_of_words(tuned):
    model = tuned.model_
    assert model.tokenizer.kind == "subword"
    sequences, words = sequences_and_words(model)
    found = next_words.compare(model, 1, SPAM, NEW, words=5)
    nats = -model.log_likelihood(NEW)[:, 1].sum()
    assert found["its LSTM alone"].perplexity == pytest.approx(np.exp(nats / (words + len(NEW))), rel=1e-5)
    kneser_ney = KneserNey.fit(model.tokenizer.sequences(SPAM), model.tokenizer.vocab_size)
    expected_nats = sum(
        -kneser_ney.read(sequence[np.newaxis, :end])[0][0, sequence[end]]
        for sequence in sequences
        for end in range(1, len(sequence))
    )
    expected = np.exp(expected_nats / (words + len(NEW)))
    assert found["5-gram Kneser-Ney"].perplexity == pytest.approx(expected, rel=1e-6)
    assert all(0 <= scores.top_1 <= scores.top_3 <= 1 < scores.perplexity for scores in found.values())


@pytest.mark.parametrize(("name", "label"), [("suggest, this label", "spam"), ("suggest, all labels", None)])
def test_hits_are_those_of_suggest(tuned, name, label):
    model = tuned.model_
    text = min(NEW, key=len)
    found = next_words.compare(model, 1, SPAM, [text], words=10_000)[name]
    hits = []
    split = text.split()
    for position, word in enumerate(split):
        suggested = [suggestion["word"] for suggestion in tuned.suggest(" ".join(split[:position]), label, 3)]
        hits.append(suggested.index(word) if word in suggested else 3)
    assert found.top_1 == pytest.approx(np.mean([hit < 1 for hit in hits]))
    assert found.top_3 == pytest.approx(np.mean([hit < 3 for hit in hits]))


@pytest.mark.long
def test_the_script_fits_once_and_prints_a_table(tmp_path, capsys):
    for part, rows in (("train", slice(None)), ("test", slice(0, 20))):
        with open(tmp_path / f"mail.{part}.csv", "w", newline="", encoding="utf-8") as file:
            table = zip(TEXTS[rows], LABELS[rows], strict=True)
            csv.writer(file).writerows([("text", "label"), *table])
    arguments = ["mail", "--data", str(tmp_path), "--models", str(tmp_path / "models"), "--words", "5"]
    small = {name: value for name, value in TUNED.items() if name != "random_state"}
    next_words.main(arguments, **{**small, "tokenizer": "word"})
    printed = capsys.readouterr().out
    assert "mail: tokens are words" in printed
    for label in ("ham", "spam"):
        assert f"| mail, {label} | 5-gram Kneser-Ney | " in printed
    next_words.main(arguments, nonsense=True)  # the model is there: nothing is fitted
    assert capsys.readouterr().out == printed


def test_kenlm_is_asked_for_the_same_texts(tuned, tmp_path):
    learn, query = tmp_path / "lmplz", tmp_path / "query"
    learn.write_text('#!/bin/sh\necho "$@"; cat')
    query.write_text(
        "#!/bin/sh\ncp $3 $(dirname $0)/arpa; cat > $(dirname $0)/asked\n"
        "printf 'Perplexity including OOVs:\\t8\\nOOVs:\\t0\\nTokens:\\t10\\n'"
    )
    for program in (learn, query):
        program.chmod(0o755)
    model = tuned.model_
    found = next_words.compare(model, 1, SPAM, NEW, words=1, kenlm=next_words.KenLM(tmp_path))
    sequences, words = sequences_and_words(model)
    assert found["5-gram Kneser-Ney, KenLM"].perplexity == pytest.approx(8 ** (10 / (words + len(NEW))))
    queried = (tmp_path / "asked").read_text().splitlines()
    assert queried == [" ".join(map(str, sequence[1:-1])) for sequence in sequences]
    options, *training = (tmp_path / "arpa").read_text().splitlines()
    assert "-o 5" in options
    assert f"--vocab_pad {model.tokenizer.vocab_size - 2}" in options
    assert len(training) == len(SPAM)
    learn.write_text("#!/bin/sh\necho out of memory >&2; exit 1")
    with pytest.raises(LMClassifyError, match="lmplz failed: out of memory"):
        next_words.KenLM(tmp_path).nats(sequences, sequences, 9)
