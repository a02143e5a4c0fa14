"""Labels go into the file, and every other byte stays."""

from __future__ import annotations

import csv
import io
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.annotation.file_lock import locked
from lmclassify.annotation.labelled_file import (
    CHOSEN,
    NONE,
    RANDOM,
    Answer,
    FileChangedError,
    FileOptions,
    LabelledFile,
)
from lmclassify.errors import DataError, LMClassifyError, OptionError

AT = "2026-11-30T12:00:00Z"
SPAM, HAM = Answer("spam", AT, RANDOM), Answer("ham", AT, CHOSEN)


@pytest.fixture
def make(tmp_path):
    def write(content, name="texts.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_columns_are_added_with_the_first_answer(make):
    path = make("id,text\n1,win a prize\n2,lunch\n")
    file = LabelledFile(str(path))
    assert file.texts == ["win a prize", "lunch"]
    assert "labels go into the new column 'label'" in file.description
    assert path.read_text() == "id,text\n1,win a prize\n2,lunch\n"
    file.write({1: HAM})
    assert path.read_text() == (
        "id,text,label,labelled_at,source\n1,win a prize,,,\n2,lunch,ham,2026-11-30T12:00:00Z,chosen\n"
    )
    file.write({0: Answer("", AT, NONE, "in another, odd language")})
    again = LabelledFile(str(path))
    assert again.answers == [Answer("", AT, NONE, "in another, odd language"), HAM]
    assert again.answers == file.answers
    again.write({1: Answer()})
    assert path.read_text().splitlines()[2] == "2,lunch,,,,"


def test_a_note_after_an_answer_to_a_text_of_several_lines(make):
    path = make('text,n\n"two\nlines",1\nb,2\n')
    file = LabelledFile(str(path))
    file.write({0: SPAM})
    file.write({1: Answer("ham", AT, RANDOM, "a note")})
    assert path.read_text() == (
        f'text,n,label,labelled_at,source,note\n"two\nlines",1,spam,{AT},random,\nb,2,ham,{AT},random,a note\n'
    )
    assert LabelledFile(str(path)).answers == file.answers


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbftext,n\r\n"a, b",1\r\n"two\r\nlines",2\r\nc,3',
        'text;n\n"ä;b";1\nc;2\n'.encode("latin-1"),
        'text\tn\na "quoted" word\t1\n"c"\t2\n'.encode("utf-16"),
        b"text,n\na,1\n\n\nb,2\n",
        b"sep=;\ntext;n\na;1\nb;2\n",
        b'text,n\n a ,1\n"b",2\n',
        b"text\na\nb\n",
    ],
    ids=["bom", "latin-1", "utf-16", "blank lines", "sep", "blanks", "one column"],
)
def test_other_bytes_stay(make, content):
    path = make(content, "texts.tsv" if b"\t" in content else "texts.csv")
    options = FileOptions(encoding="latin-1" if b"\xe4" in content and content[:2] != b"\xff\xfe" else None)
    file = LabelledFile(str(path), options)
    texts = list(file.texts)
    file.write({0: SPAM, 1: HAM})
    again = LabelledFile(str(path), options)
    assert again.texts == texts
    assert again.answers[:2] == [SPAM, HAM]
    added = {"spam", "ham", AT, RANDOM, CHOSEN, "label", "labelled_at", "source"}
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    left = path.read_bytes().decode(encoding)
    for word in added:
        for separator in ",;\t":
            left = left.replace(f"{separator}{word}\r", "\r").replace(f"{separator}{word}\n", "\n")
            left = left.replace(f"{separator}{word}{separator}", separator * 2)
    kept = content.decode(encoding)
    assert sorted(set(kept) - set(left)) == []
    assert left[0] == kept[0]


CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from('",;\n'), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.text("abcäß ,;\"'-", min_size=1, max_size=8)), max_size=12),
)
def test_fields_and_labels_are_read_by_other_programs(tmp_path_factory, rows, answers):
    path = tmp_path_factory.mktemp("labelled") / "texts.csv"
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("text", "more"), *rows])
    path.write_bytes(buffer.getvalue().encode())
    file = LabelledFile(str(path))
    expected: dict[int, str] = {}
    for row, label in answers:
        label = label.strip()
        if row < len(rows) and label:
            file.write({row: Answer(label, AT, RANDOM)})
            expected[row] = label
    with open(path, newline="", encoding="utf-8") as stream:
        header, *read = csv.reader(stream)
    assert [tuple(row[:2]) for row in read] == rows
    if expected:
        assert header == ["text", "more", "label", "labelled_at", "source"]
        assert [row[2] for row in read] == [expected.get(row, "") for row in range(len(rows))]


def test_a_file_that_was_changed_is_not_overwritten(make):
    path = make("text,label\nwin,\nlunch,\n")
    file = LabelledFile(str(path))
    file.write({0: SPAM})
    changed = path.read_text().replace("lunch", "dinner")
    path.write_text(changed)
    with pytest.raises(FileChangedError, match="nothing was overwritten"):
        file.write({1: HAM})
    assert path.read_text() == changed
    assert file.answers[1] == Answer()
    again = file.read_again()
    again.write({1: HAM})
    assert LabelledFile(str(path)).answers == [SPAM, HAM]
    path.unlink()
    with pytest.raises(FileChangedError, match="cannot be read any more"):
        again.write({0: HAM})
    assert not path.exists()


def test_a_file_that_was_only_touched_is_the_same(make):
    path = make("text\nwin\n")
    file = LabelledFile(str(path))
    path.write_bytes(path.read_bytes())
    os.utime(path, (1, 1))
    file.write({0: SPAM})
    assert LabelledFile(str(path)).answers == [SPAM]


def test_links_and_permissions_stay(make, tmp_path):
    path = make("text\nwin\n", "real.csv")
    path.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    LabelledFile(str(link)).write({0: SPAM})
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert LabelledFile(str(path)).answers == [SPAM]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.csv", "real.csv"]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "n,more\n1,2\n", "has no text column"),
        (
            "a.csv",
            "win a prize,spam\nlunch?,ham\nfree money,spam\n",
            "add a first line with names of columns",
        ),
        ("a.jsonl", '{"text": "a"}\n', "is JSON: answers are written into CSV and TSV files only"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00", "is compressed"),
        ("a.txt", "one\ntwo words\n", "has one text per line"),
        ("a.csv", "text,source\na,the web\n", "row 1: column source holds 'the web'"),
        ("a.csv", "text,label,labelled_at\na,,b\n", "row 1: column labelled_at holds 'b'"),
        ("a.csv", "text,source,source\na,,\n", "2 columns named source"),
        ("a.csv", "text,more\na\n", "1 field"),
        ("a.csv", 'text,more\n"a,b\n', "never closed"),
    ],
)
def test_files_that_cannot_be_labelled(make, name, content, error):
    path = make(content, name)
    with pytest.raises(DataError, match=error):
        LabelledFile(str(path))
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_what_is_no_file(tmp_path):
    for path, error in ((tmp_path, "is a folder"), (tmp_path / "no.csv", "no.csv")):
        with pytest.raises(LMClassifyError, match=error):
            LabelledFile(str(path))
    with pytest.raises(OptionError, match="standard input cannot be labelled"):
        LabelledFile("-")


def test_a_label_that_the_encoding_lacks(make):
    path = make("text;n\nä;1\n".encode("latin-1"))
    file = LabelledFile(str(path), FileOptions(encoding="latin-1"))
    before = path.read_bytes()
    with pytest.raises(DataError, match="row 1: .* has no '→'; save the file as UTF-8"):
        file.write({0: Answer("→", AT, RANDOM)})
    assert path.read_bytes() == before


def test_only_one_process_labels_a_file(make, tmp_path):
    path = make("text\na\n")
    other = locked(str(path))
    with locked(str(path)), pytest.raises(LMClassifyError, match="is being labelled by another"):
        other.__enter__()
    with locked(str(path)):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["texts.csv"]


def test_several_columns_make_a_text(make):
    path = make('title,body,label\nLunch?,at noon,\n,"two\nlines",ham\n')
    file = LabelledFile(str(path), FileOptions(text_column="title,body"))
    assert file.texts == ["Lunch?\nat noon", "\ntwo lines"]
    file.write({0: HAM})
    assert path.read_text().startswith("title,body,label,labelled_at,source\nLunch?,at noon,ham,")


def test_the_command_to_fit_a_model():
    assert FileOptions().fit_command(["a.csv", "b c.csv"]) == "lmclassify fit a.csv 'b c.csv'"
    options = FileOptions("title,my body", "topic", "latin-1", "none")
    assert options.fit_command(["a.csv"]) == (
        "lmclassify fit a.csv --text-column 'title,my body' --label-column topic --encoding latin-1 --quoting none"
    )
