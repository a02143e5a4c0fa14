"""Rows and labelled texts from any file or mailbox, public data sets, bundled data."""
