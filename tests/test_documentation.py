"""The documentation: its reference holds everything, what it names exists, and its site has no broken links."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import util
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer

import lmclassify
from lmclassify.cli.main import build_program
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
OTHER_OPTIONS = {"--help", "--version", "--install-completion", "--show-completion"}
"""Options of every program, and of `lmclassify` without a command."""


def hook(name: str) -> ModuleType:
    """Import a module of docs/hooks."""
    spec = util.spec_from_file_location(f"docs_{name}", DOCS / "hooks" / f"{name}.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    return typer.main.get_command(build_program([])).commands


def options_of(command: Any, hidden: bool) -> set[str]:
    """Return the names of a command's options."""
    parameters = [item for item in command.params if hidden or not getattr(item, "hidden", False)]
    names = {name for item in parameters for name in [*item.opts, *item.secondary_opts]}
    return {name for name in names if name.startswith("-")}


def test_every_command_and_option_is_in_the_reference(commands):
    pages = hook("command_line").command_pages()
    assert list(pages) == list(commands)
    for name, command in commands.items():
        terms = re.findall(r"^`(.+)`\{ #.+ \}\n:   \S", pages[name], re.MULTILINE)
        both = [re.sub(r"--\[no-\]([\w-]+)", r"--\1 --no-\1", term) for term in terms]
        documented = {part for term in both for part in re.findall(r"(?<![\w-])--?[\w-]+", term)}
        assert documented == options_of(command, hidden=False) | {"-h", "--help"}, name
        assert f"# lmclassify {name}\n" in pages[name]
        assert f"## Examples\n\n```sh\nlmclassify {name}" in pages[name]


def test_reference_of_a_command():
    page = hook("command_line").command_pages()["predict"]
    assert page.startswith("# lmclassify predict\n\nPredict ")
    assert re.search(
        r"^`-m, --model FOLDER`{ #model }\n:   .+ Default: `./lmclassify-model`\.$", page, re.MULTILINE
    )
    assert "predicted\\_label" in page  # words of the help are not markup
    assert page.index("## Data\n") < page.index("## Output\n") < page.index("## Advanced\n")
    assert "| [`predict`](predict.md) | Predict " in hook("command_line").command_table()


def test_every_public_name_is_in_the_python_reference():
    page = (DOCS / "reference" / "python.md").read_text()
    for name in lmclassify.__all__:
        assert re.search(rf"^::: lmclassify\.{name}$|`lmclassify\.{name}`", page, re.MULTILINE), name
    listed = set(re.findall(r"^ +- (\w+)$", page, re.MULTILINE))
    public = {name for name in vars(lmclassify.LMClassifier) if not name.startswith(("_", "set_"))}
    assert public - {"fit", "add_label", "update", "remove_label", "partial_fit"} <= listed
    for name in listed:
        assert name in dir(lmclassify.FittedModel) or name in lmclassify.FittedModel.__dataclass_fields__


def command_lines(page: str) -> Iterator[str]:
    """Yield the calls of lmclassify in a document, in code blocks and in running text.

    (`lmclassify unix` is an entry in the configuration of Postfix.)
    """
    blocks = re.findall(r"^ *```(?:sh|console)\n(.*?)^ *```", page, flags=re.DOTALL | re.MULTILINE)
    blocks += re.findall(r"(?:^ {4}.*\n)+", page, flags=re.MULTILINE)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    for code in [*blocks, *spans]:
        joined = re.sub(r" *\\\n *", " ", code)
        for line in re.split(r"\n|\||&&|;|\$\(|(?:^|\s)#.*", joined):
            if found := re.search(r"(?:^|[\s\"'/])lmclassify (?!unix )((?:[a-z]|--).*)", line or ""):
                yield found[1].rstrip()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_options_that_documents_name_exist(path, commands):
    for line in command_lines(path.read_text(encoding="utf-8")):
        name = line.split()[0]
        if name.startswith("-"):
            known = OTHER_OPTIONS
        else:
            assert name in commands, line
            known = options_of(commands[name], hidden=True) | OTHER_OPTIONS
        for option in re.findall(r"(?<=\s)(--[a-z][\w-]*)", f" {line}"):
            assert option in known, line


def test_calls_in_documents_are_found():
    page = "Use `lmclassify fit --force`.\n\n```sh\ncat a | lmclassify predict \\\n  - --x  # lmclassify no\n```\n"
    assert list(command_lines(page)) == ["predict - --x", "fit --force"]


class _Page(HTMLParser):
    """The links, anchors and paragraphs of a built page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors = {""}
        self.paragraphs: list[str] = []
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag != "a":
            self.loaded += [values[name] for name in ("href", "src", "srcset") if name in values]
        if tag in ("p", "pre", "code"):
            self._inside.append(tag)
            if tag == "p":
                self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._inside == ["p"]:
            self.paragraphs[-1] += data

    def handle_comment(self, data: str) -> None:
        assert "tested" not in data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, _Page]:
    """The HTML pages of the built site, by path; None for other files."""
    folder = tmp_path_factory.mktemp("documentation") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): _Page(path.read_text("utf-8") if path.suffix == ".html" else "")
        for path in files
    }


@pytest.mark.long
@pytest.mark.xdist_group("documentation")
def test_links_of_the_site_lead_somewhere(site):
    assert {"index.html", "reference/cli/fit.html", "reference/python.html", "changelog.html"} <= set(site)
    broken = []
    for path, page in site.items():
        if path == "404.html":  # its links start from the address of the site, which nobody knows
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))
            is_page = target.endswith(".html")
            if target not in site or (is_page and unquote(parts.fragment) not in site[target].anchors):
                broken.append(f"{path}: {link}")
    assert broken == []


@pytest.mark.long
@pytest.mark.xdist_group("documentation")
def test_the_site_loads_nothing_from_elsewhere(site):
    elsewhere = [
        f"{path}: {link}"
        for path, page in site.items()
        for link in page.loaded
        if urlsplit(link).netloc or urlsplit(link).scheme not in ("", "data")
    ]
    assert elsewhere == []


@pytest.mark.long
@pytest.mark.xdist_group("documentation")
def test_pages_of_the_site_show_no_markup(site):
    """Lists need a blank line before them, and four spaces before the further paragraphs of an item."""
    shown = []
    for path, page in site.items():
        for text in page.paragraphs:
            shown += [
                f"{path}: {line}"
                for line in text.splitlines()
                if re.match(r"\s*([-+|] |\d+\. |```|:::|#+ )|.*(\]\(|<!--)", line)
            ]
    assert shown == []


@pytest.mark.long
@pytest.mark.xdist_group("documentation")
def test_python_reference_shows_values_and_links(site):
    page = site["reference/python.html"]
    for name in ("LMClassifier.fit", "FittedModel.explain", "load", "DataError"):
        assert f"lmclassify.{name}" in page.anchors
    assert "#lmclassify.FittedModel.explain" in page.links
