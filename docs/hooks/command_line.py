"""The reference of the command line: one Markdown page per command, generated from the command's own help."""

from __future__ import annotations

import re
from typing import Any

import typer

from lmclassify.cli.main import build_program

_WIDTH = 10_000
"""Width at which the help is generated, in columns: wider than any line, so that none is wrapped."""
_OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
_CODE = re.compile(r"(`[^`]+`)")
_NOTES = re.compile(r" +\[([^\[\]]+)\]$")
"""At the end of an option's help: its default, its range, whether it is required."""


def command_pages() -> dict[str, str]:
    """Return the Markdown page of each command, by the command's name, in the order of --help."""
    return {name: _page(command, context) for name, (command, context) in _commands().items()}


def command_table() -> str:
    """Return a Markdown table of the commands with links to their pages."""
    rows = [
        f"| [`{name}`]({name}.md) | {_markdown(_paragraphs(command)[0])} |"
        for name, (command, _) in _commands().items()
    ]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def _commands() -> dict[str, tuple[Any, Any]]:
    """Return each command and its context, by name."""
    program: Any = typer.main.get_command(build_program([]))
    settings = {"terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = program.make_context("lmclassify", [], resilient_parsing=True)
    return {
        name: (command, type(context)(command, parent=context, info_name=name, **settings))
        for name, command in program.commands.items()
    }


def _sections(help_text: str) -> dict[str, list[list[str]]]:
    """Return names and descriptions of the options and arguments of a help text, by section.

    The text is so wide that each description is one line, beside its name or below it.
    """
    sections: dict[str, list[list[str]]] = {}
    for line in help_text.splitlines():
        if heading := re.fullmatch(r" *(\w+):", line):
            if heading[1] == "Examples":
                break
            records = sections.setdefault(heading[1], [])
        elif sections and line.startswith("   "):
            records[-1][1] = line.strip()
        elif sections and line:
            name, _, text = line.strip().partition("  ")
            records.append([name, text.strip()])
    return sections


def _page(command: Any, context: Any) -> str:
    summary, *more = _paragraphs(command)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    usage = re.sub(r"{(\w+)}", r"\1", usage)
    parts = [f"# {context.command_path}", _markdown(summary), f"```text\n{usage}\n```", *map(_markdown, more)]
    if command.epilog:
        lines = command.epilog.removeprefix("\b\n").splitlines()
        heading = lines.pop(0).rstrip(":")
        parts += [f"## {heading}", "```sh\n" + "\n".join(line.strip() for line in lines) + "\n```"]
    for section, rows in _sections(command.get_help(context)).items():
        parts += [f"## {section}", *(_definition(name, text) for name, text in rows)]
    return "\n\n".join(parts) + "\n"


def _paragraphs(command: Any) -> list[str]:
    return [" ".join(part.split()) for part in (command.help or "").split("\n\n")]


def _definition(name: str, text: str) -> str:
    """Return an option or argument as an item of a definition list, with its long name as the anchor."""
    name = re.sub(r" <(list\[.*\]|str)>", "", name)  # names of Python types say less than words
    name = re.sub(r" <int( range)?>", " INTEGER", re.sub(r" <float( range)?>", " NUMBER", name))
    options = _OPTION.findall(name.replace("[no-]", ""))
    anchor = next((option for option in options if option.startswith("--")), name.split()[0])
    notes = _NOTES.search(text)
    sentences = [_markdown(text[: notes.start()] if notes else text)]
    for note in notes[1].split("; ") if notes else ():
        kind, colon, value = note.partition(": ")
        if colon:
            sentences.append(f"{kind.capitalize()}: `{value}`.")
        else:
            sentences.append("Required." if note == "required" else f"Range: `{note}`.")
    return f"`{name}`{{ #{anchor.strip('-').lower()} }}\n:   " + " ".join(sentences)


def _markdown(text: str) -> str:
    """Return a text of --help as Markdown: options become code, and nothing else is markup."""
    pieces = _CODE.split(text)
    for index in range(0, len(pieces), 2):
        plain = re.sub(r"([\\*_<>\[\]{}|])", r"\\\1", pieces[index])
        pieces[index] = re.sub(
            r"(?<![\w-])--?[a-zA-Z](?:[\w-]|\\_)*", lambda found: f"`{found[0]}`".replace("\\", ""), plain
        )
    return "".join(pieces)
