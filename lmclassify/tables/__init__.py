"""Tables: CSV, TSV, JSON Lines, Parquet and plain text, with encodings and compression."""
