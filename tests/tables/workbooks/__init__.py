"""Small workbooks: mail.xls and mail.ods, and a writer of .xlsx files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

FOLDER = Path(__file__).parent


def write_xlsx(path: Path, sheets: dict[str, list[list[Any]]], hidden: tuple[str, ...] = ()) -> Path:
    """Write sheets of strings, numbers, booleans and None (an empty cell); an empty list is a blank row."""
    names, files = [], []
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("_rels/.rels", _relations("officeDocument", ["xl/workbook.xml"]))
        for number, (name, rows) in enumerate(sheets.items(), 1):
            state = ' state="hidden"' if name in hidden else ""
            names.append(f'<sheet name="{escape(name)}" sheetId="{number}"{state} r:id="r{number}"/>')
            files.append(f"worksheets/sheet{number}.xml")
            lines = [
                f'<row r="{at}">{"".join(_cell(f"{chr(65 + column)}{at}", value) for column, value in enumerate(row))}</row>'
                for at, row in enumerate(rows, 1)
            ]
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml",
                _xml("worksheet", f"<sheetData>{''.join(lines)}</sheetData>"),
            )
        archive.writestr("xl/workbook.xml", _xml("workbook", f"<sheets>{''.join(names)}</sheets>"))
        archive.writestr("xl/_rels/workbook.xml.rels", _relations("worksheet", files))
    return path


def _cell(reference: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c r="{reference}"><v>{value!r}</v></c>'


def _relations(kind: str, files: list[str]) -> str:
    lines = [
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{file}"/>'
        for number, file in enumerate(files, 1)
    ]
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{package}">{"".join(lines)}</Relationships>'


def _xml(kind: str, content: str) -> str:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{kind} xmlns="{main}" xmlns:r="{_OFFICE}">{content}</{kind}>'
    )
