"""The figures of the page: headline numbers, tables of labels, facts of data and model."""

from __future__ import annotations

from typing import Any

from lmclassify.evaluation.drift import Drift
from lmclassify.evaluation.metrics import Evaluation
from lmclassify.evaluation.page.confusion import MOST_LABELS
from lmclassify.evaluation.page.markup import Html, element, facts, joined, name, percent, table


def tiles(evaluation: Evaluation) -> Html:
    """Return the headline figures."""
    low, high = evaluation.accuracy_interval
    found: list[tuple[str, str, str]] = [
        ("Accuracy", f"{evaluation.accuracy:.4f}", f"95% interval {low:.4f} to {high:.4f}"),
        ("Macro F1", f"{evaluation.macro_f1:.4f}", "mean over labels"),
        ("Log-loss", _figure(evaluation.log_loss), "nats a text, 0 is best"),
        ("Calibration error", _figure(evaluation.ece), "ECE, 15 bins"),
        ("Texts", f"{evaluation.texts:,}", f"of {len(evaluation.per_label):,} labels"),
    ]
    if evaluation.unsure:
        found.append(
            (
                "Unsure",
                percent(evaluation.unsure / evaluation.texts),
                f"{evaluation.unsure:,} texts, count as wrong",
            )
        )
        if evaluation.accuracy_of_decided is not None:
            found.append(
                ("Of those decided", f"{evaluation.accuracy_of_decided:.4f}", "accuracy without the unsure")
            )
    if evaluation.unknown is not None:
        unknown = evaluation.unknown
        found.append(
            (
                "Unknown found",
                percent(unknown["found"] / unknown["texts"]),
                f"{unknown['found']:,} of {unknown['texts']:,}, {unknown['false_alarms']:,} false alarms; "
                f"AUROC {unknown['auroc']:.4f}",
            )
        )
    return element(
        "dl",
        *(
            element(
                "div", element("dt", term), element("dd", element("strong", number), element("small", note))
            )
            for term, number, note in found
        ),
        class_="tiles",
    )


def _figure(value: float) -> str:
    return f"{value:.4f}" if value < float("inf") else ("∞" if value == value else "undefined")


def per_label(evaluation: Evaluation) -> Html:
    """Return precision, recall and F1 of each label; of many labels, the weakest first."""
    rows = list(evaluation.per_label.items())
    order = ""
    if len(rows) > MOST_LABELS:
        rows.sort(key=lambda row: (row[1]["f1-score"], row[0]))
        order = " The weakest labels come first."
    cells: list[list[object]] = [
        [
            name(label),
            f"{of['precision']:.4f}",
            f"{of['recall']:.4f}",
            f"{of['f1-score']:.4f}",
            element("td", element("span", "", class_="bar", style=f"--s:{of['f1-score']:.3f}")),
            f"{of['support']:,.0f}",
            _perplexity(evaluation.perplexity.get(label)),
        ]
        for label, of in rows
    ]
    return table(
        "Figures of each label",
        "Perplexity: per token, of the label's texts under its own language model." + order,
        ["label", "precision", "recall", "F1", "0 to 1", "texts", "perplexity"],
        cells,
    )


def _perplexity(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}" if value < 1e6 else f"{value:.1e}"


def drift_table(drift: Drift) -> Html:
    """Return nats per word of all texts, chunk by chunk, and what to make of them."""
    whole = drift.labels[0]
    verdict = drift.to_text().splitlines()[-1].removeprefix("drift: ")
    return joined(
        [
            element("p", f"{verdict[0].upper()}{verdict[1:]}."),
            table(
                "Drift, chunk by chunk",
                f"{whole.held_out_texts:,} held-out texts: {whole.held_out_nats_per_word:.3f} nats per word.",
                ["chunk", "texts", "nats per word", "change", "p-value", "verdict"],
                [
                    [
                        f"{chunk.first} to {chunk.last}",
                        f"{chunk.texts:,}",
                        f"{chunk.nats_per_word:.3f}",
                        f"{chunk.change:+.1%}",
                        f"{chunk.p_value:.2g}",
                        "drifted" if chunk.drifted else "",
                    ]
                    for chunk in whole.chunks
                ],
            ),
        ]
    )


def label_table(of_model: dict[str, Any]) -> Html:
    """Return what the model knows of each label.

    Parameters
    ----------
    of_model : dict
        See `lmclassify.evaluation.model_info.model_facts`.
    """
    return table(
        "Training of each label",
        "What the model learnt each label from. Perplexity: per token, of the validation texts.",
        ["label", "prior", "training texts", "validation texts", "epochs", "best epoch", "perplexity"],
        [
            [
                name(str(of["label"])),
                f"{of['prior']:.4f}",
                *(
                    "–" if of[key] is None else f"{of[key]:,}"
                    for key in ("training_texts", "validation_texts", "epochs", "best_epoch")
                ),
                _perplexity(of["validation_perplexity"]),
            ]
            for of in of_model["labels"]
        ],
    )


def settings_list(of_model: dict[str, Any]) -> Html:
    """Return all settings of a model, as `lmclassify.evaluation.model_info.model_facts` has them."""
    settings = [(key, "–" if value is None else value) for key, value in of_model["settings"].items()]
    return joined([element("h3", "Settings"), facts(settings)])


def fact_list(of_model: dict[str, Any], data: str, model: str) -> Html:
    """Return facts of data and model.

    Parameters
    ----------
    of_model : dict
        See `lmclassify.evaluation.model_info.model_facts`.
    data, model : str
        What they are called.
    """
    tokenizer, training = of_model["tokenizer"], of_model["training"]
    case = "lower case" if tokenizer["lowercase"] else "case kept"
    pairs: list[tuple[object, object]] = [
        ("data", data),
        ("model", model),
        ("recipe", of_model["settings"].get("recipe", "–")),
        ("parameters", f"{of_model['parameters']:,}"),
        ("tokens", f"{tokenizer['kind']}, {tokenizer['vocab_size']:,} of them, {case}"),
    ]
    if training["texts"] is not None:
        pairs.append(
            ("learnt from", f"{training['texts']:,} texts, {training['texts_cut'] or 0:,} of them cut")
        )
    if training["started"] is not None:
        pairs.append(("fitted", f"{training['started']}, in {training['seconds']:,.0f} seconds"))
    versions = ", ".join(f"{key} {value}" for key, value in of_model["versions"].items())
    pairs.append(("versions", versions or "–"))
    return element("div", element("h3", "Data and model"), facts(pairs), class_="about")
