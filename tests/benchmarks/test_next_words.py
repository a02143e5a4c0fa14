"""How well next words are foretold, on little."""

import json
import sys

import numpy as np
import pytest

from benchmarks import next_words
from benchmarks.kneser_ney import KneserNey
from lmclassify import LMClassifier, LMClassifyError
from tests.conftest import TUNED, bundled

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
    rival = KneserNey.learn(model.tokenizer.sequences(SPAM), model.tokenizer.vocab_size)
    rival_nats = sum(
        -rival.read(sequence[np.newaxis, :end])[0][0, sequence[end]]
        for sequence in sequences
        for end in range(1, len(sequence))
    )
    expected = np.exp(rival_nats / (words + len(NEW)))
    assert found["5-gram Kneser-Ney"].perplexity == pytest.approx(expected, rel=1e-6)
    assert all(0 <= of.top_1 <= of.top_3 <= 1 < of.perplexity for of in found.values())


@pytest.mark.parametrize(("name", "label"), [("suggest, this label", "spam"), ("suggest, all labels", None)])
def test_hits_are_those_of_suggest(tuned, name, label):
    model = tuned.model_
    found = next_words.compare(model, 1, SPAM, NEW[:1], words=10_000)[name]
    hits = []
    split = NEW[0].split()
    for place, word in enumerate(split):
        suggested = [of["word"] for of in tuned.suggest(" ".join(split[:place]), label, 3)]
        hits.append(suggested.index(word) if word in suggested else 3)
    assert found.top_1 == pytest.approx(np.mean([hit < 1 for hit in hits]))
    assert found.top_3 == pytest.approx(np.mean([hit < 3 for hit in hits]))


def test_the_script_fits_once_and_prints_a_table(tmp_path, monkeypatch, capsys):
    for part, rows in (("train", slice(None)), ("test", slice(0, 20))):
        lines = [
            json.dumps(text) + "," + label for text, label in zip(TEXTS[rows], LABELS[rows], strict=True)
        ]
        (tmp_path / f"mail.{part}.csv").write_text("\n".join(["text,label", *lines]).replace('\\"', '""'))
    small = {**TUNED, "tokenizer": "word"}
    monkeypatch.setattr(next_words, "LMClassifier", lambda random_state: LMClassifier(**small))
    arguments = ["mail", "--data", str(tmp_path), "--models", str(tmp_path / "models"), "--words", "5"]
    monkeypatch.setattr(sys, "argv", ["next_words", *arguments])
    next_words.main()
    printed = capsys.readouterr().out
    assert "mail: tokens are words" in printed
    for label in ("ham", "spam"):
        assert f"| mail, {label} | 5-gram Kneser-Ney | " in printed
    monkeypatch.delattr(next_words, "LMClassifier")  # the model is there
    next_words.main()
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
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [" ".join(map(str, sequence[1:-1])) for sequence in sequences]
    options, *learnt = (tmp_path / "arpa").read_text().splitlines()
    assert "-o 5" in options
    assert f"--vocab_pad {model.tokenizer.vocab_size - 2}" in options
    assert len(learnt) == len(SPAM)
    learn.write_text("#!/bin/sh\necho out of memory >&2; exit 1")
    with pytest.raises(LMClassifyError, match="lmplz failed: out of memory"):
        next_words.KenLM(tmp_path).nats(sequences, sequences, 9)
