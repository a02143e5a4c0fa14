"""Numbers as dataclasses, then as text or JSON."""
