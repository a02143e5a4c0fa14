"""On a real local cluster of two processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from lmclassify import FittedModel
from lmclassify.classify.decisions import Decisions
from lmclassify.cluster.connection import connect
from lmclassify.datasets.sources import open_rows
from lmclassify.errors import DataError
from lmclassify.prediction.distributed import LabellingCounts, TableLayout, label_files
from lmclassify.prediction.labelling import TableLabeller
from lmclassify.prediction.part_files import PartFolder
from lmclassify.tables.writing import OutputFormat, TableWriter
from tests.conftest import bundled, run_cli_process

pytestmark = [
    pytest.mark.long,
    pytest.mark.xdist_group("ray"),  # one local cluster at a time
    pytest.mark.filterwarnings("ignore:::ray"),
]


@pytest.fixture(scope="module")
def processes() -> Iterator[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's, of its own making
        with connect(None, 2) as number:
            yield number


def rows_of(number: int) -> list[dict[str, str]]:
    texts, labels = bundled(limit=240)
    rows = [
        {"id": f"{number:02}{row:03}", "text": text, "label": label}
        for row, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    rows[3]["text"], rows[4]["text"] = "NA", ""
    return rows


def write_files(folder: Path, format: str, files: int = 3) -> list[str]:
    for number in range(files):
        path, rows = folder / f"{number}.{format}", rows_of(number)
        if format == "parquet":
            table = pyarrow.Table.from_pylist(rows).append_column("n", pyarrow.array(range(len(rows))))
            pyarrow.parquet.write_table(table, path, row_group_size=70)
        elif format == "jsonl":
            path.write_text("".join(json.dumps(row | {"n": [1, None]}) + "\n" for row in rows))
        else:
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)
    return [str(path) for path in sorted(folder.iterdir())]


def read(path: Path, format: str) -> list[dict[str, object]]:
    if format == "parquet":
        table = pyarrow.parquet.read_table(path)
        assert table.schema.field("n").type == pyarrow.int64()
        rows: list[dict[str, object]] = table.to_pylist()
    elif format == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
    return rows


def parts_of(folder: Path, format: str) -> list[dict[str, object]]:
    return [row for part in sorted(folder.glob(f"part-*.{format}")) for row in read(part, format)]


def label_on_ray(
    files: list[str],
    output: Path,
    model: FittedModel,
    processes: int,
    format: OutputFormat = "csv",
    chunk_rows: int = 50,
    progress: Callable[[int, int], object] = lambda rows, bytes_read: None,
) -> LabellingCounts:
    folder = PartFolder(str(output), format)
    folder.prepare()
    with open_rows(files[0]) as source:
        columns = source.columns
    layout = TableLayout(columns, [columns.index("text")], columns.index("label"), chunk_rows=chunk_rows)
    decisions = Decisions(model.label_names, unknown_label="other", unknown_threshold=2.0)
    return label_files(files, layout, model, decisions, folder, processes, progress)


def label_locally(files: list[str], output: Path, model: FittedModel, format: OutputFormat) -> TableLabeller:
    decisions = Decisions(model.label_names, unknown_label="other", unknown_threshold=2.0)
    with open_rows(files[0]) as source:
        columns = source.columns
    labeller = TableLabeller(model, [columns.index("text")], columns.index("label"), decisions=decisions)
    with TableWriter(str(output), format) as writer:
        for file in files:
            with open_rows(file) as source:
                for chunk in source.chunks():
                    writer.write(labeller.label(chunk))
    return labeller


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_rows_and_scores_equal_those_of_the_local_engine(
    tmp_path: Path, model: FittedModel, processes: int, format: OutputFormat
) -> None:
    (tmp_path / "in").mkdir()
    files = write_files(tmp_path / "in", format)
    outcome = label_on_ray(files, tmp_path / "out", model, processes, format)
    labeller = label_locally(files, tmp_path / f"here.{format}", model, format)
    found, expected = parts_of(tmp_path / "out", format), read(tmp_path / f"here.{format}", format)
    assert len(found) == len(expected) == 720
    for row in range(720):
        file, number = found[row].pop("row_file"), found[row].pop("row_number")
        assert (file, int(str(number))) == (files[row // 240], row % 240 + 1)
        assert list(found[row]) == list(expected[row])
    for name in expected[0]:
        ours, theirs = ([row[name] for row in rows] for rows in (found, expected))
        if name.startswith("p_") or name == "novelty":
            as_numbers = [
                [np.nan if one in ("", None) else float(str(one)) for one in of] for of in (ours, theirs)
            ]
            np.testing.assert_allclose(*as_numbers, atol=1e-6, rtol=0)
        else:
            assert ours == theirs
    assert outcome == LabellingCounts(labeller.counts, 720, 3)
    assert (tmp_path / "out" / "_SUCCESS").exists()


def test_what_a_reader_leaves_out_is_said(tmp_path: Path, model: FittedModel, processes: int) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.eml").write_text(f"Subject: lunch {number}\n\nhello\n")
    (tmp_path / "in" / "cmds").write_text("mv 1 2\n")
    folder = PartFolder(str(tmp_path / "out"), "csv")
    folder.prepare()
    layout = TableLayout(["id", "from", "date", "subject", "body", "text"], [5], None, chunk_rows=2)
    decisions = Decisions(model.label_names)
    outcome = label_files([str(tmp_path / "in")], layout, model, decisions, folder, processes)
    assert outcome.rows == 3
    (note,) = outcome.notes
    assert note.endswith("in: 1 file that is no mail left out: cmds")


def scoring_processes() -> list[int]:
    """Return the ids of this test's worker processes."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it has ended
                continue

    def ours(process: int) -> bool:
        while process in parents:
            if process == os.getpid():
                return True
            process = parents[process]
        return False

    return [one for one in titles if "ray::MapWorker(MapBatches(Worker))" in titles[one] and ours(one)]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds processes in /proc")
def test_a_killed_worker_is_replaced_and_no_row_is_lost_or_repeated(
    tmp_path: Path, model: FittedModel, processes: int
) -> None:
    (tmp_path / "in").mkdir()
    files = write_files(tmp_path / "in", "csv")
    killed: list[int] = []

    def kill(rows: int, bytes_read: int) -> None:
        if not killed:
            killed.append(scoring_processes()[0])
            os.kill(killed[0], signal.SIGKILL)

    outcome = label_on_ray(files, tmp_path / "out", model, processes, chunk_rows=4, progress=kill)
    assert killed
    assert killed[0] not in scoring_processes()
    assert outcome.rows == 720
    found = [(row["row_file"], int(str(row["row_number"]))) for row in parts_of(tmp_path / "out", "csv")]
    assert found == [(file, number) for file in files for number in range(1, 241)]
    labeller = label_locally(files, tmp_path / "here.csv", model, "csv")
    assert (outcome.counts, outcome.without_text) == (labeller.counts, 3)
    assert all(name.startswith(("part-", "_SUCCESS")) for name in os.listdir(tmp_path / "out"))


def test_unreadable_files_are_named_and_the_others_are_done(
    tmp_path: Path, model: FittedModel, processes: int
) -> None:
    (tmp_path / "in").mkdir()
    files = write_files(tmp_path / "in", "csv", files=5)
    with open(files[1], "ab") as file:
        file.write(b"01999,caf\xe9,ham\n")  # after parts of it are done
    Path(files[3]).write_text("id,subject\n1,x\n")
    with pytest.raises(DataError, match=r"^2 of 5 files cannot be used \(the others are done\)") as caught:
        label_on_ray(files, tmp_path / "out", model, processes)
    assert f"{files[1]}, row 241" in str(caught.value)
    assert f"{files[3]} has other columns than {files[0]}" in str(caught.value)
    assert "\n" not in str(caught.value)
    found = {row["row_file"] for row in parts_of(tmp_path / "out", "csv")}
    assert found == {files[0], files[2], files[4]}
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_the_command_reads_a_folder_and_prints_what_the_local_engine_prints(
    tmp_path: Path, saved: Path
) -> None:
    (tmp_path / "in").mkdir()
    write_files(tmp_path / "in", "csv")
    options = ("-m", saved, "--threads", 2)
    here = run_cli_process("predict", "in/*.csv", *options, "-o", "here.csv", cwd=tmp_path)
    url = f"file://{tmp_path}/in"
    there = run_cli_process("predict", url, *options, "--engine", "ray", "-o", "out", cwd=tmp_path)
    assert (there.returncode, there.stdout) == (0, b"")

    def said(stderr: bytes) -> list[str]:
        return [line for line in stderr.decode().splitlines() if not line.startswith("rows")]

    assert said(there.stderr)[1:] == said(here.stderr)[1:]  # the first names the file
    assert len(parts_of(tmp_path / "out", "csv")) == 720
    again = run_cli_process("predict", "in", *options, "--engine", "ray", "-o", "out", cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr.decode().splitlines()[-1].startswith("lmclassify: error: out is not empty")
