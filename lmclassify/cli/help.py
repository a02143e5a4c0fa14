"""Help of a command: its arguments and options by group."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_GROUPS = {
    "Data": """
        data texts prefix text name label labels text_column label_column group_column time_column
        input_format sheet encoding quoting header columns merge_labels fields unlabelled on_bad_row test
        url sha256
        """,
    "Output": """
        output format stream overwrite_columns escape_formulas n against drift html plot results tensorboard
        temperature top_k top_p max_tokens exit_code quiet verbose log_format help
        """,
    "Model": """
        model folder socket recipe vectors tokenizer direction vocab_size lowercase disguised_label
        embedding_dim cell num_lstm_units num_lstm_layers tie_weights exact unknown_label unknown_rate
        min_confidence unsure max_false_positive_rate positive
        """,
    "Training": """
        max_epochs max_length batch_size learning_rate validation_fraction fit_prior class_prior class_weight
        device time resume methods folds sizes seeds
        """,
    "Advanced": "",
    "Ray": "engine address shards storage",
}
"""Options by group, in the order of help, by the names of their parameters. Others are advanced."""

_GROUP_OF = {option: group for group, options in _GROUPS.items() for option in options.split()}


class GroupedCommand(TyperCommand):
    """A command whose help has a section for each group of options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections. `rich_help_panel` of an option overrides its group."""
        sections: dict[str, list[tuple[str, str]]] = {group: [] for group in _GROUPS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                sections[panel or _GROUP_OF.get(parameter.name or "", "Advanced")].append(record)
        for group, records in sections.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)
