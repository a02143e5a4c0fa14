"""Read the one table in a zip file."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import BinaryIO

from lmclassify.errors import DataError, listing
from lmclassify.tables.compression import as_stream, damaged

_DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,  # an unknown compression method
    RuntimeError,  # encrypted
)
_ABOUT = re.compile(r"(readme|licen[cs]e|copying|citation|about)\b", re.IGNORECASE)
_OFFICE = {"word/": "a Word document", "ppt/": "a PowerPoint presentation", "visio/": "a Visio drawing"}
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."


def open_zip(stream: BinaryIO, name: str) -> tuple[BinaryIO, str]:
    """Return the content of the only table in a zip file, and its name there.

    A workbook is returned as it is, with an empty name. Raises DataError if the file is damaged, is another
    document, or does not hold exactly one table.

    Parameters
    ----------
    stream : file
        One that can seek.
    name : str
        Name of the file, for messages.
    """
    try:
        archive = zipfile.ZipFile(stream)
        members = [info.filename for info in archive.infolist() if not info.is_dir()]
        if _is_workbook(archive, members, name):
            stream.seek(0)
            return stream, ""
        member = _only_table(members, name)
        if member.lower().endswith((".mbox", ".eml")):
            raise DataError(f"{name} holds mail ({member}); unpack it")
        content = archive.open(member)
    except DataError:
        raise
    except _DAMAGE_ERRORS as error:
        raise damaged(name, "zip", error) from None
    return as_stream(content, _DAMAGE_ERRORS, "zip", name), member


def _is_workbook(archive: zipfile.ZipFile, members: Sequence[str], name: str) -> bool:
    """Return whether a zip file is an Excel or OpenDocument workbook.

    Raises DataError if it is another document or a program's data.
    """
    kind = ""
    if "[Content_Types].xml" in members:
        if any(member.startswith("xl/") for member in members):
            return True
        kind = next(
            (kind for start, kind in _OFFICE.items() if any(m.startswith(start) for m in members)), ""
        )
    elif "mimetype" in members:
        with archive.open("mimetype") as file:
            mimetype = file.read(100).decode("ascii", "replace")
        if mimetype.startswith(_OPEN_DOCUMENT + "spreadsheet"):
            return True
        kind = (
            "an OpenDocument text" if mimetype.startswith(_OPEN_DOCUMENT + "text") else f"of type {mimetype}"
        )
    elif any(member.endswith(".iwa") for member in members):
        kind = "a document of Apple's Numbers, Pages or Keynote"
    elif "META-INF/MANIFEST.MF" in members:
        kind = "a Java archive"
    elif any(member.endswith("/data.pkl") for member in members):
        kind = "a PyTorch file"
    elif members and all(member.endswith(".npy") for member in members):
        kind = "a file of NumPy arrays"
    if kind:
        raise DataError(f"{name} is {kind}, not a table; save its table as CSV or .xlsx, or its text as .txt")
    return False


def _only_table(members: Sequence[str], name: str) -> str:
    """Return the one member that can be a table, without files about it or of the system."""
    paths = [(member, PurePosixPath(member)) for member in members]
    found = [
        member
        for member, path in paths
        if not any(part.startswith((".", "__MACOSX")) for part in path.parts) and path.name != "Thumbs.db"
    ]
    if len(found) > 1:
        found = [member for member in found if not _ABOUT.match(PurePosixPath(member).name)] or found
    if not found:
        raise DataError(f"{name} is a zip file that holds no file")
    if len(found) > 1:
        raise DataError(f"{name} holds {len(found):,} files ({listing(found)}), not one table; unpack it")
    return found[0]
