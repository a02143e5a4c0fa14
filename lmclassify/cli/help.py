"""Help of the program and of a command: summaries in full, arguments and options by group, examples."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from lmclassify.errors import did_you_mean

WIDEST_NAME = 34
"""Columns for an option's name and value at most: a terminal of 80 columns leaves 42 for its description."""

_HARD_BLANK = "\0"  # a blank where a line may not end

_GROUPS = {
    "Data": """
        listen data text texts name label files from_label labels prefix text_column label_column
        group_column time_column input_format sheet encoding quoting header columns merge_labels fields
        unlabelled on_bad_row test url sha256 maildir spam folders ignore learn_existing
        """,
    "Output": """
        output force format stream overwrite_columns escape_formulas n kinds fail_on against drift html plot
        results tensorboard temperature top_k top_p max_tokens exit_code reason reject_above
        quarantine_above quiet verbose log_format help
        """,
    "Model": """
        folder model keep socket user models undo undo_id undo_since compact recipe vectors tokenizer
        direction vocab_size lowercase disguised_label embedding_dim cell num_lstm_units num_lstm_layers
        tie_weights exact unknown_label unknown_rate min_confidence unsure max_false_positive_rate positive
        negative
        """,
    "Training": """
        time max_epochs max_length batch_size learning_rate validation_fraction fit_prior class_prior
        class_weight device resume methods folds sizes seeds
        """,
    "Advanced": "",
    "Ray": "engine address shards storage",
}
"""Options by group, in the order of help, by the names of their parameters. Others are advanced and come
after these."""

_GROUP_OF = {option: group for group, options in _GROUPS.items() for option in options.split()}
_ORDER = {option: number for number, option in enumerate(_GROUP_OF)}


class GroupedCommand(TyperCommand):
    """A command whose help has a section for each group of options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; errors in options and choices suggest the most similar ones."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if hasattr(error, "message"):
                _suggest(error)
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line, without braces around an argument that is required."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections."""
        sections: dict[str, list[tuple[str, str]]] = {group: [] for group in _GROUPS}
        for parameter in sorted(self.get_params(ctx), key=_position):
            record = _record(parameter, ctx)
            if record is not None:
                sections[group_of(parameter)].append(record)
        width = max(len(name) for records in sections.values() for name, _ in records)
        for group, records in sections.items():
            if records:
                _write_section(formatter, group, records, min(width, WIDEST_NAME))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples as they are: a wrapped command could not be copied."""
        if self.epilog:
            formatter.write(f"\n{self.epilog}\n")


class Program(TyperGroup):
    """The program, whose help has the whole summary of each command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        records = [
            (name, " ".join((command.help or "").split("\n\n")[0].split()))
            for name, command in commands.items()
            if command is not None
        ]
        _write_section(formatter, "Commands", records, max(map(len, commands)))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples as they are."""
        GroupedCommand.format_epilog(self, ctx, formatter)  # type: ignore[arg-type]


def _suggest(error: Any) -> None:
    """Add the option or choice that was probably meant to an error of the command line."""
    similar = getattr(error, "possibilities", None)
    if similar:
        error.message += f". Did you mean {similar[0]}?"
        error.possibilities = None
    error.message = error.message.removeprefix("Value error, ")
    choice = re.fullmatch(r"'(.+?)' is not one of ('.+')\.", error.message)
    if choice:
        wrong = f"'{choice[1]}'"
        question = did_you_mean(choice[1], re.findall("'(.+?)'", choice[2]))
        error.message = error.message.replace(wrong, wrong + question, 1)


def _position(parameter: Any) -> int:
    """Return what parameters are sorted by; arguments stand first, in the order of the command line."""
    return -1 if parameter.param_type_name == "argument" else _ORDER.get(parameter.name or "", len(_ORDER))


def group_of(parameter: Any) -> str:
    """Return the group of an option or argument. Its `rich_help_panel` overrides the table above."""
    panel = getattr(parameter, "rich_help_panel", None)
    return str(panel or _GROUP_OF.get(parameter.name or "", "Advanced"))


def examples_text(examples: Sequence[str]) -> str | None:
    """Return the end of a command's help, with one example on a line; None without examples."""
    return "\n".join(["Examples:", *(f"  {line}" for line in examples)]) if examples else None


def _record(parameter: Any, ctx: Any) -> tuple[str, str] | None:
    """Return the name and the description of an option or argument; None if it is hidden."""
    record = parameter.get_help_record(ctx)
    if record is None:
        return None
    name, text = record
    text = re.sub(r"(; |(?<=\[))[^\[\];]*x?[<>]=?[^\[\];]*(?=\]$)", "", text).removesuffix("  []")
    if parameter.param_type_name == "argument":
        return parameter.metavar or str(parameter.name).upper(), text
    if parameter.secondary_opts:
        name = "/".join(option.replace("--", "--[no-]") for option in parameter.opts)
        text = re.sub(r"(?<=\[default: )(?=[a-z-]+\]$)", "--", text)
    return name, text


def _write_section(formatter: Any, title: str, records: Sequence[tuple[str, str]], width: int) -> None:
    """Write names beside their descriptions. Only descriptions are wrapped, and not inside of words."""
    formatter.write(f"\n{title}:\n")
    margin = " " * (width + 4)
    for name, text in records:
        whole = re.sub(r"\[default: .*\]$", lambda found: found[0].replace(" ", _HARD_BLANK), text)
        lines = textwrap.wrap(
            whole, max(formatter.width - len(margin), 20), break_long_words=False, break_on_hyphens=False
        )
        if len(name) > width:
            formatter.write(f"  {name}\n")
            name = ""
        for line in lines or [""]:
            line = line.replace(_HARD_BLANK, " ")
            formatter.write(f"  {name:<{width + 2}}{line}".rstrip() + "\n")
            name = ""
