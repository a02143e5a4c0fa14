"""Data of every format through the program, in files and in pipes."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.cli.helpers import QUICK, one_line, rows_of
from tests.conftest import SAMPLE, run_cli
from tests.tables.workbooks import write_xlsx

EMAILS = SAMPLE / "emails.csv"
PROGRAM = f"{sys.executable} -m lmclassify"
JQ = "jq -r .id" if shutil.which("jq") else f"{sys.executable} -c 'import json, sys\nfor line in sys.stdin: print(json.loads(line)[\"id\"])'"  # fmt: skip


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, timeout=300, check=False)


def test_from_format_to_format_and_back(saved, tmp_path):
    """CSV to JSON Lines to Parquet to compressed TSV to CSV: the same rows, labelled again and again."""
    steps = ["1.jsonl.zst", "2.parquet", "3.tsv.xz", "4.csv"]
    for before, after in zip([str(EMAILS), *steps], steps, strict=False):
        done = run_cli("predict", before, "-m", saved, "-o", after, "--overwrite-columns", "-q", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
    expected = run_cli("predict", EMAILS, "-m", saved, cwd=tmp_path).stdout
    assert (tmp_path / "4.csv").read_bytes() == expected


def test_types_of_json_lines_and_parquet(saved, tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"id": 7, "text": "win", "more": {"a": [1, null]}}\n{"id": 8, "text": null, "x": 1.50}\n'
    )
    done = run_cli("predict", "t.jsonl", "-m", saved, "--format", "jsonl", cwd=tmp_path)
    first, second = done.stdout.decode().splitlines()
    assert first.startswith('{"id": 7, "text": "win", "more": {"a": [1, null]}, "predicted_label": "')
    assert second == (
        '{"id": 8, "text": null, "x": 1.50, "predicted_label": "", "p_ham": null, "p_spam": null}'
    )
    (row, _) = rows_of(run_cli("predict", "t.jsonl", "-m", saved, cwd=tmp_path).stdout)
    assert (row["id"], row["more"], row["x"]) == ("7", '{"a": [1, null]}', "")
    pyarrow.parquet.write_table(
        pyarrow.table({"id": [7, 8], "text": ["win", "lunch"]}), tmp_path / "t.parquet"
    )
    done = run_cli("predict", "t.parquet", "-m", saved, "-o", "out.parquet", cwd=tmp_path)
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [7, 8]
    with open(tmp_path / "t.parquet", "rb") as file:
        command = [*PROGRAM.split(), "predict", "-", "--input-format", "parquet", "-m", str(saved), "-q"]
        done = subprocess.run(command, stdin=file, capture_output=True, check=True, cwd=tmp_path)
    assert [row["id"] for row in rows_of(done.stdout)] == ["7", "8"]


def test_lines_of_text(saved, tmp_path):
    (tmp_path / "t.txt").write_text("win, a prize\n\nlunch\n")
    done = run_cli("predict", "t.txt", "-m", saved, cwd=tmp_path)
    assert [row["text"] for row in rows_of(done.stdout)] == ["win, a prize", "", "lunch"]
    assert "t.txt: one text per line" in done.stderr.decode()
    done = run_cli("predict", "-", "--input-format", "text", "-m", saved, "-q", cwd=tmp_path, stdin=b"a\nb")
    assert [row["text"] for row in rows_of(done.stdout)] == ["a", "b"]


def test_encodings(saved, tmp_path):
    text = EMAILS.read_text(encoding="utf-8")
    for name, content in (
        ("utf16.csv", text.encode("utf-16")),
        ("marked.csv", text.encode("utf-8-sig")),
        ("semicolons.csv", "text;label\nÜber den Größen schöner Straßen für Köln;ham\n".encode("latin-1")),
    ):
        (tmp_path / name).write_bytes(content)
    expected = run_cli("predict", EMAILS, "-m", saved, "-q", cwd=tmp_path).stdout
    for name in ("utf16.csv", "marked.csv"):
        assert run_cli("predict", name, "-m", saved, "-q", cwd=tmp_path).stdout == expected
    for encoding, said in (("latin-1", "encoding iso8859-1"), ("detect", "(found by --encoding detect)")):
        done = run_cli("predict", "semicolons.csv", "-m", saved, "--encoding", encoding, cwd=tmp_path)
        assert rows_of(done.stdout)[0]["text"] == "Über den Größen schöner Straßen für Köln"
        assert "label column 'label'; semicolon-separated; encoding " in done.stderr.decode()
        assert said in done.stderr.decode()
    done = run_cli("predict", "semicolons.csv", "-m", saved, cwd=tmp_path)
    assert "row 1 (line 2): byte 11 (0xdc) is not valid UTF-8" in one_line(done)
    done = run_cli("predict", EMAILS, "-m", saved, "--encoding", "nonsense", cwd=tmp_path)
    assert "--encoding 'nonsense': Python knows no such text encoding" in one_line(done, status=2)


def test_several_files(saved, tmp_path):
    (tmp_path / "b.csv").write_text("id,text,label\n3,lunch,ham\n")
    (tmp_path / "a.csv").write_text("id,text,label\n1,win,spam\n2,meeting,ham\n")
    (tmp_path / "c.csv").write_text("id,text\n1,win\n")
    done = run_cli("predict", "b.csv", "[a-b].csv", "-m", saved, cwd=tmp_path)
    assert [row["id"] for row in rows_of(done.stdout)] == ["3", "1", "2", "3"]
    done = run_cli("evaluate", "?.csv", "-m", saved, cwd=tmp_path)
    assert "c.csv has other columns than a.csv: it lacks 'label'" in one_line(done)
    done = run_cli("evaluate", "a.csv", "b.csv", "-m", saved, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["texts"] == 3
    assert "no file matches x*.csv" in one_line(run_cli("predict", "x*.csv", "-m", saved, cwd=tmp_path))
    done = run_cli("predict", "-", "-", "-m", saved, cwd=tmp_path, stdin=b"")
    assert "can be read only once" in one_line(done, status=2)


@pytest.mark.long
def test_nothing_is_left_of_output_that_failed(saved, tmp_path):
    rows = "text\n" + "".join(f"{os.urandom(20).hex()}\n" for _ in range(20_000))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(rows.encode())[:-100])
    done = run_cli("predict", "t.csv.gz", "-m", saved, "-o", "out.csv.zst", cwd=tmp_path)
    assert "t.csv.gz is truncated: its gzip data end too early" in one_line(done)
    assert os.listdir(tmp_path) == ["t.csv.gz"]


@pytest.mark.long
def test_other_commands_read_the_same(saved, tmp_path):
    (tmp_path / "t.jsonl.gz").write_bytes(
        gzip.compress(b'{"text": "win a prize", "label": "spam"}\n{"text": "lunch", "label": "ham"}\n')
    )
    (tmp_path / "latin.csv").write_bytes("text|label\nschöner Preis|spam\nKöln|ham\n".encode("latin-1"))
    done = run_cli("fit", "*.gz", "latin.csv", "--encoding", "latin-1", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "separated by vertical bars" in done.stderr.decode()
    for command in (
        ["explain", "--texts", "latin.csv", "--encoding", "latin-1"],
        ["update", "t.jsonl.gz"],
        ["add-label", "eggs", "latin.csv", "--encoding", "latin-1"],
    ):
        done = run_cli(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.long
@pytest.mark.parametrize(
    ("format", "reader"),
    [
        ("csv", "head -1"),
        ("tsv", "head -1"),
        ("jsonl", "head -1"),
        ("parquet", "head -c 4"),
    ],
)
def test_a_reader_that_has_enough(saved, tmp_path, format, reader):
    (tmp_path / "t.csv").write_text("text\n" + "hello world\n" * 30_000)  # more than one chunk
    line = f"{PROGRAM} predict t.csv -m {saved} -q --format {format} | {reader}; exit ${{PIPESTATUS[0]}}"
    done = shell(line, tmp_path)
    assert (done.returncode, done.stderr) == (141, b"")
    assert done.stdout


def test_pipes(saved, tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(EMAILS.read_bytes()))
    line = f"gzip -dc t.csv.gz | {PROGRAM} predict - -m {saved} -q --format jsonl | {JQ} | head -3"
    done = shell(f"set -o pipefail; {line}", tmp_path)
    ids = [row["id"] for row in rows_of(EMAILS.read_bytes())]
    assert done.stdout.decode().split() == ids[:3]
    line = f"{PROGRAM} predict t.csv.gz -m {saved} -q | cut -d, -f1 | tail -n +2"
    assert shell(line, tmp_path).stdout.decode().split() == ids


@pytest.mark.parametrize(
    ("arguments", "rows", "parts"),
    [
        (
            ["--format", "tsv"],
            ["text,n", "hello,1", '"two\nlines",2'],
            ["text\tn\tpredicted", "hello\t1\t", '"two'],
        ),
        (["--input-format", "text"], ["win", "lunch"], ["text,predicted_label", "win,", "lunch,"]),
        (
            ["--input-format", "jsonl", "--format", "jsonl"],
            ['{"text": "a"}', '{"text": "b", "k": 1}'],
            ['{"text": "a", "pre', '{"text": "b", "k": 1, "pre'],
        ),
        (["--encoding", "latin-1"], ["text;n", "a;1", "b;2"], ["text,n,", "a,1,", "b,2,"]),
    ],
)
def test_each_row_is_written_as_soon_as_it_is_read(saved, tmp_path, arguments, rows, parts):
    command = [*PROGRAM.split(), "predict", "-", "-m", str(saved), "-q", "--stream", *arguments]
    has_header = len(parts) == len(rows) and "predicted" in parts[0] and "{" not in rows[0] and "," in rows[0]
    has_header = has_header or ";" in rows[0]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        waiting = list(parts)
        for place, row in enumerate(rows):
            process.stdin.write(row.encode() + b"\n")
            process.stdin.flush()
            if has_header and place == 0:
                continue
            while len(waiting) > len(rows) - place - 1:  # these are there before the next row is sent
                assert process.stdout.readline().decode().startswith(waiting.pop(0))
        process.stdin.close()
        assert process.wait(300) == 0


@pytest.mark.parametrize("options", [["-o", "out.csv"], ["--format", "table"], ["--format", "parquet"]])
def test_what_cannot_be_streamed(saved, tmp_path, options):
    done = run_cli("predict", EMAILS, "-m", saved, "--stream", *options, cwd=tmp_path)
    assert "--stream writes csv, tsv or jsonl to standard output" in one_line(done, status=2)


def test_streaming_does_not_read_ahead_to_guess(saved, tmp_path):
    done = run_cli("predict", EMAILS, "-m", saved, "--stream", "--encoding", "detect", cwd=tmp_path)
    assert "--encoding detect reads ahead" in one_line(done, status=2)


def test_pipes_as_files(saved, tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"id,text\n1,win\n"))
    line = f"{PROGRAM} predict <(gzip -dc a.csv.gz) a.csv.gz <(gzip -dc a.csv.gz) -m {saved} -q | wc -l"
    done = shell(line, tmp_path)
    assert (done.stdout.strip(), done.stderr) == (b"4", b"")


def test_csv_needs_no_package_of_other_formats(saved, tmp_path):
    other = "{'pyarrow', 'zstandard', 'charset_normalizer', 'pandas', 'gzip'}"
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print(sorted({other} & set(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['lmclassify', 'predict', {str(EMAILS)!r}, '-m', {str(saved)!r}, '-q']\n"
        "from lmclassify.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=tmp_path)
    assert done.stderr.decode().strip() == "[]"


def test_workbooks_and_json_lists(saved, tmp_path):
    mail = [["text", "label"], ["win a prize", "spam"], [], ["lunch", "ham"]]
    write_xlsx(tmp_path / "mail.xlsx", {"Mail": mail, "More": [["body"], ["win"]]})
    done = run_cli("predict", "mail.xlsx", "-m", saved, cwd=tmp_path)
    assert [row["text"] for row in rows_of(done.stdout)] == ["win a prize", "lunch"]
    assert b"mail.xlsx (sheet 'Mail'; --sheet reads another: 'More'): text column 'text'" in done.stderr
    done = run_cli(
        "predict",
        "-",
        "--sheet",
        "More",
        "-m",
        saved,
        "-q",
        cwd=tmp_path,
        stdin=(tmp_path / "mail.xlsx").read_bytes(),
    )
    assert [row["body"] for row in rows_of(done.stdout)] == ["win"]
    done = run_cli("predict", EMAILS, "--sheet", "More", "-m", saved, cwd=tmp_path)
    assert "--sheet names a sheet of a workbook" in one_line(done, status=2)
    (tmp_path / "t.txt").write_text(json.dumps([{"m": {"body": "win a prize"}, "label": "spam"}], indent=1))
    done = run_cli(
        "predict", "t.txt", "--text-column", "m.body", "--format", "jsonl", "-m", saved, cwd=tmp_path
    )
    assert list(json.loads(done.stdout))[:3] == ["m", "label", "predicted_label"]
    done = run_cli(
        "evaluate", "t.txt", "--text-column", "m.body", "-m", saved, "--format", "json", cwd=tmp_path
    )
    assert json.loads(done.stdout)["texts"] == 1


def test_fasttext_files(tmp_path):
    lines = [
        "__label__spam win a cruise",
        "__label__ham see you",
        "__label__spam cash prize",
        "__label__ham lunch",
    ]
    (tmp_path / "ft.txt").write_text("\n".join(lines * 3))
    done = run_cli("fit", "ft.txt", *QUICK, cwd=tmp_path)
    assert b"ft.txt: text column 'text', label column 'label'; fastText's format" in done.stderr
    done = run_cli("evaluate", "ft.txt", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["texts"] == 12
    (tmp_path / "spam.txt").write_text(
        "".join(f"[list] {text}\n" for text in ("win", "cash", "prize", "now"))
    )
    (tmp_path / "ham.txt").write_text("lunch\nsee you\n")
    done = run_cli("fit", "--labels", "spam=spam.txt", "--labels", "ham=ham.txt", *QUICK, cwd=tmp_path)
    assert (
        b"note: all texts of a label begin with the same word (those of 'spam' with '[list]')" in done.stderr
    )
