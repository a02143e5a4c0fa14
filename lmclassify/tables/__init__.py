"""Tables: CSV, TSV, JSON Lines, Parquet and plain text, read and written."""
