"""Read Parquet in chunks with pyarrow. Values keep their types where Parquet is written."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lmclassify.errors import DataError, LMClassifyError, listing, shorten
from lmclassify.extras import install_extra
from lmclassify.tables.columns import describe_columns
from lmclassify.tables.compression import split_compression
from lmclassify.tables.inputs import Input
from lmclassify.tables.json_lines import to_cell
from lmclassify.tables.recognition import SAMPLE_ROWS
from lmclassify.tables.rows import CHUNK_BYTES, CHUNK_ROWS, ClosingReader, Rows


def require_pyarrow(error: type[LMClassifyError]) -> None:
    """Raise `error` if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise error(f"format parquet needs pyarrow: {install_extra('parquet')}") from None


@dataclass(frozen=True)
class ArrowRows:
    """Rows as a pyarrow table."""

    table: Any

    def without(self, names: Collection[str]) -> ArrowRows:
        """Return the rows without the named columns."""
        return ArrowRows(self.table.select([name for name in self.table.column_names if name not in names]))

    def json_objects(self) -> list[str]:
        """Return each row as a JSON object: numbers and nested values keep their types, dates are strings."""
        names = self.table.column_names
        columns = [_values(column) for column in self.table.columns]
        encode = json.JSONEncoder(ensure_ascii=False, default=_plain).encode
        return [encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


class ParquetReader(ClosingReader):
    """Read a Parquet file in chunks.

    Raises DataError if the file cannot be read, is not a Parquet file or has no rows.

    Parameters
    ----------
    path : str
        ``-`` is standard input. It and pipes are first copied to a temporary file, because reading Parquet
        starts at the end of the file.
    source : Input, optional
        The open file, if it is open already.
    named_columns : sequence of str or None
        Names that may be fields of structs, such as ``message.body``; these become columns.
    """

    def __init__(
        self, path: str, source: Input | None = None, *, named_columns: Sequence[str | None] = ()
    ) -> None:
        require_pyarrow(DataError)
        import pyarrow
        import pyarrow.parquet

        if split_compression(path)[1] is not None:
            raise DataError(f"{path}: Parquet compresses its columns itself; decompress the file first")
        self._input = source or Input(path)
        self.name = self._input.name
        self.rows_read = 0
        self._errors = (pyarrow.ArrowException, OSError, UnicodeDecodeError)
        try:
            self._input.make_seekable()
            file: Any = self._input.stream
            self.size = self._input.size or file.seek(0, 2)
            try:
                self._file = pyarrow.parquet.ParquetFile(file)
            except self._errors as error:
                raise self._damaged(error) from None
            self.columns: list[str] = list(self._file.schema_arrow.names)
            self._fields: dict[str, tuple[list[int], Any]] = {}
            for name in named_columns:
                found = None if name is None else _find_field(self._file.schema_arrow, name)
                if name is not None and name not in self.columns and found is not None:
                    self._fields[name] = found
            self.columns += self._fields
            if not self._file.metadata.num_rows:
                raise DataError(f"{self.name} has columns ({listing(self.columns)}) but no rows")
        except BaseException:
            self.close()
            raise

    def _damaged(self, error: Exception) -> DataError:
        return DataError(
            f"{self.name} is damaged, or is not a Parquet file ({' '.join(str(error).split())[:200]})"
        )

    def close(self) -> None:
        """Close the file."""
        self._input.close()

    @property
    def bytes_read(self) -> int:
        """The approximate position in the file, in bytes."""
        return int(self.size * self.rows_read / self._file.metadata.num_rows)

    @property
    def sample(self) -> list[list[str]]:
        """The first rows, to recognize columns by their content."""
        import pyarrow

        try:
            table = pyarrow.Table.from_batches([next(self._file.iter_batches(batch_size=SAMPLE_ROWS))])
            columns = self._cells(table)
        except self._errors as error:
            raise self._damaged(error) from None
        return [list(row) for row in zip(*columns, strict=True)]

    def _cells(self, table: Any) -> list[list[str]]:
        """Return the cells of each column."""
        from pyarrow import compute

        paths = [indices for indices, _ in self._fields.values()]
        fields = [compute.struct_field(table.column(root), path) for root, *path in paths]
        return [[to_cell(value) for value in _values(column)] for column in (*table.columns, *fields)]

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that names the columns in use.

        Raises DataError if text and label are the same column, or a text column does not hold strings.
        """
        description = describe_columns(self.name, self.columns, text_at, label_at)
        for at in text_at:
            field = self._fields.get(self.columns[at])
            column_type = self._file.schema_arrow.field(at).type if field is None else field[1]
            if not _is_text(column_type):
                raise DataError(
                    f"{self.name}: {shorten(self.columns[at])} holds {column_type}, but texts must be "
                    "strings; choose another column with --text-column"
                )
        return description

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long."""
        import pyarrow

        metadata = self._file.metadata
        total = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        size = max(1, min(rows, CHUNK_BYTES * metadata.num_rows // max(1, total)))
        batches = self._file.iter_batches(batch_size=size)
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                table = pyarrow.Table.from_batches([batch])
                columns = self._cells(table)
            except self._errors as error:
                raise self._damaged(error) from None
            first = self.rows_read + 1
            self.rows_read += table.num_rows
            cells = [list(row) for row in zip(*columns, strict=True)]
            if cells:
                yield Rows(self.columns, cells, first, original=ArrowRows(table))


def _find_field(schema: Any, name: str) -> tuple[list[int], Any] | None:
    """Return the indices that lead to a field of a struct, and its type; None if there is none."""
    from pyarrow import types

    first, *rest = name.split(".")
    indices = [schema.get_field_index(first)]
    if not rest or indices[0] < 0:
        return None
    kind = schema.field(indices[0]).type
    for each in rest:
        if not types.is_struct(kind) or kind.get_field_index(each) < 0:
            return None
        indices.append(kind.get_field_index(each))
        kind = kind.field(indices[-1]).type
    return indices, kind


def to_arrow(rows: Rows) -> Any:
    """Return rows with their added columns as a pyarrow table; cells without a type are strings."""
    import pyarrow

    if isinstance(rows.original, ArrowRows):
        table = rows.original.table
    else:
        cells = [pyarrow.array(rows.column(index), pyarrow.string()) for index in range(len(rows.columns))]
        table = pyarrow.table(cells, rows.columns)
    for name, column in rows.added.items():
        kind = pyarrow.from_numpy_dtype(column.dtype) if hasattr(column, "dtype") else pyarrow.string()
        values = pyarrow.array(column, kind, from_pandas=True)
        # A table without columns has no rows, so nothing can be appended to it.
        table = table.append_column(name, values) if table.num_columns else pyarrow.table([values], [name])
    return table


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    is_view = getattr(types, "is_string_view", lambda kind: False)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind) or is_view(kind))


def _values(column: Any) -> list[Any]:
    """Return a column's values as types that JSON has; missing values are None."""
    import pyarrow
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        return _values(column.combine_chunks().dictionary_decode())
    if types.is_temporal(kind) or types.is_decimal(kind):
        column = column.cast(pyarrow.string())
    values: list[Any] = column.to_pylist()
    if types.is_floating(kind):
        return [None if value is None or math.isnan(value) else _finite(value) for value in values]
    if types.is_nested(kind):
        return [None if value is None else _nested(value) for value in values]
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return [None if value is None else _plain(value) for value in values]
    return values


def _nested(value: Any) -> Any:
    """Return a list or struct as types that JSON has; NaN becomes None."""
    return json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)


def _finite(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _plain(value: Any) -> str:
    """Return a value of a type that JSON lacks as a string."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
