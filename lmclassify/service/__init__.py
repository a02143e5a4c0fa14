"""The HTTP service: a JSON interface and a web page for a fitted model. Needs the extra ``serve``."""
