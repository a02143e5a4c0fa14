"""The command line: reads options, calls one thing, prints."""
