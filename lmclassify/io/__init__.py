"""Files in and out: tables, lists of texts, the bundled sample."""
