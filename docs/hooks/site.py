"""What mkdocs does beyond turning the files of docs/ into pages; named by `hooks` in mkdocs.yml.

- The pages of the commands, the changelog and other documents outside docs/ are made while it builds.
- Links that leave docs/ lead to those pages, or become plain text: the site has no other files.
- Commands (`lmclassify fit`) and Python names (`LMClassifier.fit`) in running text become links.
- Short code in running text gets a class, so that a line does not end after the first dash of an option.
- Comments such as `<!-- tested -->` are left out.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

import command_line
import http_schemas
from mkdocs.structure.files import File

import lmclassify

ROOT = Path(__file__).parents[2]
COMMANDS = "reference/cli"
DOCUMENTS = {f"{name.upper()}.md": f"{name}.md" for name in ("changelog", "contributing", "security")}
"""Documents outside docs/ that become pages."""

_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\(([^)\s]+)\)")
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE)
_MENTION = re.compile(r"<code>lmclassify ([a-z-]+)</code>")
_NAMES = "|".join(name for name in lmclassify.__all__ if name[0].isupper())
_PYTHON = re.compile(rf"<code>(?:(?:lmclassify\.)?((?:{_NAMES})(?:\.\w+)?)|lmclassify\.(\w+))(\(\))?</code>")
_UNTOUCHED = re.compile(r"(<(a|h[1-6]|pre)\b.*?</\2>)", re.DOTALL)

_pages: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Put the pages of the commands into the navigation, below their overview."""
    _pages.clear()
    _pages.update(command_line.command_pages())
    for entries in _lists(config.nav):
        if f"{COMMANDS}/index.md" in entries:
            entries += [{f"lmclassify {name}": f"{COMMANDS}/{name}.md"} for name in _pages]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are generated at build time."""
    made = {f"{COMMANDS}/{name}.md": page for name, page in _pages.items()}
    for document, page in DOCUMENTS.items():
        made[page] = _moved((ROOT / document).read_text(encoding="utf-8"))
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill in the tables, leave out comments, and mend links that leave docs/."""
    markdown = markdown.replace("<!-- commands -->", command_line.command_table())
    markdown = _COMMENT.sub("", http_schemas.with_tables(markdown))
    folder = posixpath.dirname(page.file.src_uri)

    def mend(link: re.Match[str]) -> str:
        text, target = link.groups()
        path, hash_, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(folder, path))
        if re.match(r"[a-z]+:", target) or not path.startswith("../"):
            return link[0]
        path = path.removeprefix("../")
        if path == "README.md":
            return f"[{text}]({posixpath.relpath('index.md', folder or '.')})"
        if path in DOCUMENTS:
            return f"[{text}]({posixpath.relpath(DOCUMENTS[path], folder or '.')}{hash_}{anchor})"
        return text if path in text else f"{text} (`{path}` in the source)"

    return _LINK.sub(mend, markdown)


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Link commands and Python names in running text."""
    pieces = _UNTOUCHED.split(content)
    for index in range(0, len(pieces), 3):  # the others are links, headings, code blocks, and their tags
        pieces[index] = _MENTION.sub(lambda found: _linked(found, page, files), pieces[index])
        pieces[index] = _PYTHON.sub(_reference, pieces[index])
    content = "".join(piece for index, piece in enumerate(pieces) if index % 3 != 2)
    return re.sub(r"<code>(?=[^<]{1,28}</code>)", '<code class="unbroken">', content)


def _linked(mention: re.Match[str], page: Any, files: Any) -> str:
    file = files.get_file_from_path(f"{COMMANDS}/{mention[1]}.md")
    if file is None or file is page.file:
        return mention[0]
    return f'<a href="{html.escape(file.url_relative_to(page.file))}">{mention[0]}</a>'


def _reference(name: re.Match[str]) -> str:
    identifier = f"lmclassify.{name[1] or name[2]}"
    return f'<autoref optional identifier="{identifier}">{name[0]}</autoref>'


def _lists(nav: Any) -> Any:
    """Return the lists of a navigation, nested ones too."""
    if isinstance(nav, list):
        yield nav
        for entry in nav:
            for below in entry.values() if isinstance(entry, dict) else ():
                yield from _lists(below)


def _moved(markdown: str) -> str:
    """Return a document of the root folder with its links changed to work from docs/."""

    def move(link: re.Match[str]) -> str:
        text, target = link.groups()
        if re.match(r"[a-z]+:|#", target):
            return link[0]
        return f"[{text}]({posixpath.relpath(target, 'docs')})"

    return _LINK.sub(move, markdown)
