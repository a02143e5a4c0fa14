"""HTTP: a model behind an interface for programs, and a page for people. Needs the extra ``serve``."""
