"""Small data for the tests of commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import EMAILS, rows_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(
        "id,text,label\n007,win a prize,spam\n8,NA,ham\n9,,ham\n10,see you,\n11,cheap pills,spam\n12,lunch,ham\n"
    )
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Texts of both labels and some of neither."""
    path = tmp_path / "mixed.csv"
    texts = [*rows_of(EMAILS.read_bytes())[:20], {"subject": "zqx jjq", "label": "new"}]
    rows = [f'"{row["subject"]}",{row["label"]}' for row in texts if '"' not in row["subject"]]
    path.write_text("\n".join(["text,label", *rows, '" ",ham']) + "\n", encoding="utf-8")
    return path
