from __future__ import annotations

import pickle
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.errors import ModelError, OptionError
from lmclassify.text.tokenizer import CACHED_CHARACTERS, Tokenizer
from tests.conftest import bundled

KINDS = ["word", "subword", "char"]
TEXTS = bundled()[0]
TOKENIZERS = {kind: Tokenizer.train(kind, TEXTS, 300) for kind in KINDS}
FOLDING = {kind: Tokenizer.train(kind, TEXTS, 300, lowercase=True) for kind in KINDS}
IN_PARTS = {kind: Tokenizer.from_json(tokenizer.to_json()) for kind, tokenizer in TOKENIZERS.items()}
"""The same tokenizers, which encode all texts in short parts."""
for tokenizer in IN_PARTS.values():
    tokenizer.max_encoded = 4


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [text[start:end] for start, end in tokenizer.offsets(text)]


def test_word_splits_words_and_punctuation():
    text = "Don't miss: 50% off!!! (today_only) naïve cafe\u0301"
    assert pieces(TOKENIZERS["word"], text) == [
        "Don't", "miss", ":", "50", "%", "off", "!!!", "(", "today_only", ")", "naïve", "cafe\u0301",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好世界", ["你", "好", "世", "界"]),  # no spaces: a character a word
        ("日本の会議", ["日", "本", "の", "会", "議"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),  # right to left
        ("שלום עולם", ["שלום", "עולם"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),  # vowel signs are combining marks
        ("go 🎉🎉 👩‍👩‍👧", ["go", "🎉🎉", "👩", "\u200d", "👩", "\u200d", "👧"]),
        ("привет, мир", ["привет", ",", "мир"]),
    ],
)
def test_word_in_many_scripts(text, expected):
    assert pieces(TOKENIZERS["word"], text) == expected


def test_unknown_words_are_one_token():
    tokenizer = TOKENIZERS["word"]
    ids = tokenizer.sequences(["zyxxyz qwvvwq"])[0]
    assert ids.tolist() == [
        tokenizer.begin_id,
        tokenizer.unknown_id,
        tokenizer.unknown_id,
        tokenizer.end_id,
    ]


@pytest.mark.parametrize("kind", ["subword", "char"])
@settings(max_examples=25)
@given(text=st.text())
def test_subwords_and_characters_know_every_text(kind, text):
    """All of a text but its white space comes back from its tokens."""
    tokenizer = TOKENIZERS[kind]
    assert tokenizer.unknown_id is None
    ids = tokenizer.sequences([text])[0][1:-1]
    rebuilt = b"".join(tokenizer.token_bytes(token) for token in ids.tolist()).decode()
    import unicodedata

    normal = unicodedata.normalize("NFC", text).replace("▁", "_")
    assert rebuilt == "".join(normal.split())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(text=st.text())
def test_every_token_lies_within_one_word(kind, text):
    tokenizer = TOKENIZERS[kind]
    spans, word_of_token = tokenizer.words(text)
    assert [text[start:end] for start, end in spans] == text.split()
    offsets = tokenizer.offsets(text)
    assert len(offsets) == len(word_of_token) == len(tokenizer.sequences([text])[0]) - 2
    for (start, end), word in zip(offsets.tolist(), word_of_token.tolist(), strict=True):
        assert spans[word][0] <= start <= end <= spans[word][1] or start == end
    assert sorted(set(word_of_token.tolist())) == list(range(len(spans)))
    assert (word_of_token[1:] >= word_of_token[:-1]).all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(texts=st.lists(st.text(), max_size=4))
def test_ids_are_in_range(kind, texts):
    tokenizer = TOKENIZERS[kind]
    for text, sequence in zip(texts, tokenizer.sequences(texts), strict=True):
        assert sequence[0] == tokenizer.begin_id
        assert sequence[-1] == tokenizer.end_id
        inner = sequence[1:-1]
        assert ((inner > 0) & (inner < tokenizer.begin_id)).all(), text
        assert len(inner) == 0 or text.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_contains_a_special_token(kind):
    tokenizer = TOKENIZERS[kind]
    text = "<padding> <unknown> <begin> <end> <0x41> ▁"
    inner = tokenizer.sequences([text])[0][1:-1]
    assert not {0, tokenizer.begin_id, tokenizer.end_id} & set(inner.tolist())
    assert len(inner) > 6


def test_composed_and_decomposed_letters_are_equal():
    for tokenizer in TOKENIZERS.values():
        composed, decomposed = tokenizer.sequences(["caf\u00e9", "cafe\u0301"])
        assert composed.tolist() == decomposed.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_case_is_kept_or_folded(kind):
    kept, folded = TOKENIZERS[kind], FOLDING[kind]
    assert kept.sequences(["FREE Free"])[0].tolist() != kept.sequences(["free free"])[0].tolist()
    assert folded.sequences(["FREE Free"])[0].tolist() == folded.sequences(["free free"])[0].tolist()
    assert pieces(folded, "İstanbul FREE")  # a letter that becomes two when folded
    assert "".join(dict.fromkeys(pieces(folded, "İX"))) == "İX"


def test_white_space_of_every_kind_separates_words():
    blanks = [chr(code) for code in range(0x3001) if chr(code).isspace()]
    assert len(blanks) > 25
    for tokenizer in TOKENIZERS.values():
        for blank in blanks:
            same = tokenizer.sequences([f"{blank}a{blank}{blank}b ", "a b"])
            assert same[0].tolist() == same[1].tolist(), repr(blank)


@pytest.mark.parametrize("kind", KINDS)
def test_lone_surrogates_are_unknown_characters(kind):
    tokenizer = TOKENIZERS[kind]
    assert tokenizer.sequences(["a \ud800 b"])[0].tolist() == tokenizer.sequences(["a \ufffd b"])[0].tolist()
    assert len(tokenizer.offsets("a \ud800 b")) == len(tokenizer.sequences(["a \ud800 b"])[0]) - 2


@pytest.mark.parametrize("kind", KINDS)
def test_json_and_pickle_keep_everything(kind):
    tokenizer = FOLDING[kind]
    for again in (Tokenizer.from_json(tokenizer.to_json()), pickle.loads(pickle.dumps(tokenizer))):
        assert again.to_json() == tokenizer.to_json()
        for before, after in zip(tokenizer.sequences(TEXTS), again.sequences(TEXTS), strict=True):
            assert before.tolist() == after.tolist()


@pytest.mark.parametrize("size", [2, 40, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_vocabulary_size_is_a_maximum(kind, size):
    tokenizer = Tokenizer.train(kind, TEXTS, size)
    assert len(tokenizer.tokens) <= size
    extra = {"word": 4, "subword": 259, "char": 259}[kind]
    assert tokenizer.vocab_size == len(tokenizer.tokens) + extra
    tokenizer.sequences(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a a"], ["☃☃ ☃"]])
def test_tiny_training_texts_work(kind, texts):
    tokenizer = Tokenizer.train(kind, texts, 100)
    assert len(tokenizer.sequences(["a ☃ zebra"])[0]) > 2


def test_unknown_kind_is_refused():
    with pytest.raises(OptionError, match="word, subword, char"):
        Tokenizer.train("bytes", [], 10)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"lmclassify":"tokenizer","kind":"x","lowercase":false,"tokens":[],"merges":[]}',
        '{"lmclassify":"tokenizer","kind":"char","lowercase":false,"tokens":[1],"merges":[]}',
        '{"lmclassify":"tokenizer","kind":"char","lowercase":false,"tokens":["a","a"],"merges":[]}',
        '{"lmclassify":"tokenizer","kind":"char","lowercase":0,"tokens":["a"],"merges":[]}',
        '{"lmclassify":"tokenizer","kind":"subword","lowercase":false,"tokens":["a"],"merges":[["a","b"]]}',
        '{"lmclassify":"tokenizer","kind":"subword","lowercase":false,"tokens":["a"],"merges":[["a"]]}',
        '{"lmclassify":"tokenizer","kind":"char","lowercase":false,"tokens":["<begin>"],"merges":[]}',
        '{"lmclassify":"tokenizer","kind":"char","lowercase":false,"tokens":[],"merges":[],"more":1}',
    ],
)
def test_invalid_json_is_refused(text):
    with pytest.raises(ModelError, match="not a tokenizer"):
        Tokenizer.from_json(text)


@pytest.mark.long
@pytest.mark.long  # starts processes
def test_vocabulary_is_the_same_in_every_process():
    program = (
        "from tests.text.test_tokenizer import TOKENIZERS\n"
        "import hashlib\n"
        "print(hashlib.sha256(''.join(t.to_json() for t in TOKENIZERS.values()).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1


@settings(max_examples=25)
@given(st.sampled_from(KINDS), st.lists(st.text(max_size=20), max_size=10), st.booleans())
def test_a_tokenizer_trained_on_any_text_tokenizes_it(kind, texts, lowercase):
    tokenizer = Tokenizer.train(kind, texts, 50, lowercase=lowercase)
    assert Tokenizer.from_json(tokenizer.to_json()).to_json() == tokenizer.to_json()
    assert len(tokenizer.sequences(texts)) == len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "re: meeting, tomorrow (at 5)? yes!",
        "costs $5, 50% off #1 .. ... !",
        "it's 'quoted' a-b a_b",
        "日本語です hello 中文",
        "$ $$ (( a ) )) :",
    ],
)
def test_decoded_text_is_tokenized_to_the_same_words(text):
    tokenizer = Tokenizer.train("word", [text, text], 100)
    ids = tokenizer.sequences([text])[0]
    assert tokenizer.unknown_id not in ids
    together = tokenizer.decode(ids)
    assert tokenizer.sequences([together])[0].tolist() == ids.tolist()


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from(
            ["a", "it's", "'", ".", "..", "!", "(", "((", "$", "#", "%", "5", "語", "か", "-", "_"]
        )
    )
)
def test_any_decoded_words_are_tokenized_to_the_same_words(words):
    tokenizer = Tokenizer.train("word", ["a it's ' . .. ! ( (( $ # % 5 語 か - _"] * 2, 100)
    ids = [tokenizer.tokens.index(word) + 1 for word in words]
    assert tokenizer.sequences([tokenizer.decode(ids)])[0][1:-1].tolist() == ids
    begun = tokenizer.decode(ids[:3])
    assert tokenizer.decode(ids[3:], after=begun) == tokenizer.decode(ids)


def test_words_have_the_usual_spaces():
    text = "re: lunch (on 5 march)? $5, 50% off!"
    tokenizer = Tokenizer.train("word", [text, text], 100)
    assert tokenizer.decode(tokenizer.sequences([text])[0]) == text
    assert tokenizer.decode([tokenizer.tokens.index("!") + 1], after="Well") == "Well!"
    assert tokenizer.decode([tokenizer.tokens.index("off") + 1], after="Well") == "Well off"
    assert tokenizer.decode([tokenizer.unknown_id]) == ""


@pytest.mark.parametrize("kind", ["subword", "char"])
@settings(max_examples=25)
@given(text=st.text())
def test_subwords_and_characters_keep_the_text(kind, text):
    tokenizer = TOKENIZERS[kind]
    normal = " ".join(unicodedata.normalize("NFC", text.replace("▁", "_")).split())
    assert tokenizer.decode(tokenizer.sequences([text])[0]) == normal


@pytest.mark.parametrize("kind", ["subword", "char"])
@settings(max_examples=25)
@given(st.lists(st.integers(0, 10_000)), st.sampled_from(["", "Dear", "é "]))
def test_any_tokens_have_a_text(kind, numbers, after):
    tokenizer = TOKENIZERS[kind]
    text = tokenizer.decode([number % tokenizer.vocab_size for number in numbers], after=after)
    assert text.startswith(after)
    text.encode()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(
    text=st.text("ab é\t\u0301\u65e5'!\U0001f389", max_size=60).filter(
        lambda text: max(map(len, text.split()), default=0) <= 8
    )
)
def test_long_texts_are_encoded_in_parts_with_the_same_tokens(kind, text):
    whole, in_parts = TOKENIZERS[kind], IN_PARTS[kind]
    assert in_parts.sequences([text])[0].tolist() == whole.sequences([text])[0].tolist()
    assert in_parts.words(text)[1].tolist() == whole.words(text)[1].tolist()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(texts=st.lists(st.text("aB é\t\x1c\x85\u3000\u200b\u0301\u03a3\u65e5'!!▁_9\U0001f389", max_size=30)))
def test_words_are_encoded_alone_as_within_their_text(kind, texts):
    tokenizer = FOLDING[kind]
    whole = [tokenizer._engine.encode(text, add_special_tokens=False).ids for text in texts]
    assert [sequence[1:-1].tolist() for sequence in tokenizer.sequences(texts)] == whole


def test_white_space_is_that_of_the_engine():
    engine = TOKENIZERS["word"]._engine.normalizer
    for point in [*range(0xD800), *range(0xE000, 0x11000)]:
        assert (len(f"a{chr(point)}a".split()) == 2) == (engine.normalize_str(f"a{chr(point)}a") == "a a")


@pytest.mark.long
def test_tokens_of_few_words_are_kept():
    tokenizer = Tokenizer.from_json(TOKENIZERS["char"].to_json())
    for first in range(0, 200_000, 20_000):
        tokenizer.sequences([" ".join(map(str, range(first, first + 20_000)))])
        assert sum(map(len, tokenizer._known_words[0])) <= CACHED_CHARACTERS


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "a'" * 500_000, '"' * 1_000_000, "日" + "\u0301" * 1_000_000]
)
def test_a_word_of_a_million_characters(text):
    tokenizer = TOKENIZERS["word"]
    assert 2 < len(tokenizer.sequences([text])[0]) < 20_000  # long runs are cut, into long pieces


def test_training_on_long_words_takes_linear_time():
    tokenizer = Tokenizer.train("subword", ["ab" * 50_000, "ab ab"], 40)  # took a minute
    assert tokenizer.tokens
