"""`lmclassify predict` and `lmclassify evaluate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmclassify.cli.common import (
    DEFAULT_MODEL,
    Counter,
    LabelColumn,
    Model,
    Run,
    TextColumn,
    TextOrJson,
    command,
    say_columns,
)
from lmclassify.errors import DataError, listing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from lmclassify.classify.fitted import FittedModel
    from lmclassify.io.tables import TableReader
    from lmclassify.report.evaluation import Evaluation

Data = Annotated[str, typer.Argument(metavar="DATA", help="A CSV or TSV file; - is standard input.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""

    @command(app, "predict")
    def predict(
        run: Run,
        data: Data,
        model: Model = DEFAULT_MODEL,
        output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where to write.")] = "-",
        format: Annotated[
            Literal["csv", "tsv", "jsonl", "parquet", "table"] | None,
            typer.Option("--format", help="What to write. Default: what FILE's name says, else csv."),
        ] = None,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        overwrite_columns: Annotated[
            bool, typer.Option("--overwrite-columns", help="Replace columns named like the new ones.")
        ] = False,
    ) -> None:
        """Label texts: each row again, with predicted_label and p_LABEL for each label.

        Where the rows have a label column, a classification report follows on standard error.
        """
        from lmclassify.classify.fitted import load
        from lmclassify.io.tables import TableReader, TableWriter, format_of

        fitted = load(model)
        fitted.n_jobs = run.threads
        answers = _Answers(fitted)
        with TableReader(data) as table:
            text_at, label_at = _columns(run, table, text_column, label_column)
            new = ["predicted_label", *(f"p_{label}" for label in fitted.classes_)]
            taken = [column for column in new if column in table.columns]
            if taken and not overwrite_columns:
                raise DataError(
                    f"{table.name} already has {listing(taken)}; rename them, or replace them with "
                    "--overwrite-columns"
                )
            writing = TableWriter(output, format_of(output, format))
            with writing as writer, Counter(run, table.size) as counter:
                for chunk in table.chunks():
                    texts = chunk.iloc[:, text_at]
                    labels = None if label_at is None else chunk.iloc[:, label_at]
                    log_posteriors = answers.add(texts, labels)
                    writer.write(_with_predictions(chunk, new, texts, log_posteriors, fitted))
                    counter.add(len(chunk), table.bytes_read)
        if answers.blank:
            run.say(f"note: {answers.blank:,} rows have no text and were given no label")
        if label_at is not None and not run.quiet:
            _report(run, answers, table.columns[label_at])

    @command(app, "evaluate")
    def evaluate(
        run: Run,
        data: Data,
        model: Model = DEFAULT_MODEL,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        format: TextOrJson = "text",
    ) -> None:
        """Say how good a model is on texts whose labels are known."""
        from lmclassify.classify.fitted import load
        from lmclassify.io.tables import LABEL_COLUMNS, TableReader, require_column

        fitted = load(model)
        fitted.n_jobs = run.threads
        answers = _Answers(fitted, keep_texts=True)
        with TableReader(data) as table:
            label_at = require_column(table.columns, label_column, LABEL_COLUMNS, "label", table.name)
            text_at, _ = _columns(run, table, text_column, table.columns[label_at])
            with Counter(run, table.size) as counter:
                for chunk in table.chunks():
                    answers.add(chunk.iloc[:, text_at], chunk.iloc[:, label_at])
                    counter.add(len(chunk), table.bytes_read)
        if not answers.true:
            raise DataError(f"{table.name}: no row has both a text and a label")
        left_out = table.rows_read - len(answers.true)
        if left_out:
            run.say(f"note: {left_out:,} rows without text or label left out")
        unknown = sorted(set(answers.true) - set(answers.labels))
        if unknown:
            run.say(f"note: the model has no label {listing(unknown)}; such rows count as wrong")
        result = answers.evaluation()
        print(json.dumps(result.to_dict(), ensure_ascii=False) if format == "json" else result.to_text())


class _Answers:
    """Collects what a model says about chunks of rows, and the truth where rows tell it."""

    def __init__(self, fitted: FittedModel, *, keep_texts: bool = False) -> None:
        self._fitted = fitted
        self._texts: list[str] | None = [] if keep_texts else None
        self._log_posteriors: list[npt.NDArray[np.float64]] = []
        self.labels = [str(label) for label in fitted.classes_]
        self.true: list[str] = []
        self.blank = 0

    def add(self, texts: pd.Series[str], labels: pd.Series[str] | None) -> npt.NDArray[np.float64]:
        """Return the log posteriors (rows with text, K) of a chunk."""
        has_text = texts.str.strip() != ""
        kept = texts[has_text].tolist()
        self.blank += len(texts) - len(kept)
        log_posteriors = self._fitted.predict_log_proba(kept)
        if labels is not None:
            true = labels[has_text]
            known = (true.str.strip() != "").to_numpy()
            self.true += true[known].tolist()
            self._log_posteriors.append(log_posteriors[known])
            if self._texts is not None:
                self._texts += [text for text, is_known in zip(kept, known, strict=True) if is_known]
        return log_posteriors

    def evaluation(self) -> Evaluation:
        """Return the figures; with texts kept, perplexities too."""
        import numpy as np

        from lmclassify.report.evaluation import evaluate

        perplexity = {}
        if self._texts is not None:
            for label, name in zip(self._fitted.classes_, self.labels, strict=True):
                own = [text for text, true in zip(self._texts, self.true, strict=True) if true == name]
                if own:
                    perplexity[name] = self._fitted.perplexity(own, label)
        return evaluate(self.true, np.concatenate(self._log_posteriors), self.labels, perplexity)


def _columns(
    run: Run, table: TableReader, text_column: str | None, label_column: str | None
) -> tuple[int, int | None]:
    """Return where texts and, if anywhere, labels stand, and say what was found by its name."""
    from lmclassify.io.tables import LABEL_COLUMNS, TEXT_COLUMNS, find_column, require_column

    text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
    label_at = find_column(table.columns, label_column, LABEL_COLUMNS, "label", table.name)
    say_columns(run, table, text_at, label_at)
    return text_at, label_at


def _with_predictions(
    chunk: pd.DataFrame,
    new: list[str],
    texts: pd.Series[str],
    log_posteriors: npt.NDArray[np.float64],
    fitted: FittedModel,
) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    has_text = (texts.str.strip() != "").to_numpy()
    predicted = np.full(len(chunk), "", dtype=object)
    predicted[has_text] = [str(label) for label in fitted.classes_[log_posteriors.argmax(axis=1)]]
    probabilities = np.full((len(chunk), len(fitted.classes_)), np.nan)
    probabilities[has_text] = np.exp(log_posteriors)
    added = pd.DataFrame(probabilities, index=chunk.index, columns=new[1:])
    added.insert(0, new[0], predicted)
    kept = chunk.loc[:, [column not in new for column in chunk.columns]]
    return pd.concat([kept, added], axis=1)


def _report(run: Run, answers: _Answers, column: str) -> None:
    if not set(answers.true) & set(answers.labels):
        run.say(f"note: no report: column {column!r} holds none of the labels {listing(answers.labels)}")
        return
    run.say(answers.evaluation().report.rstrip("\n"))
