"""Where jobs run. An engine runs callables over payloads and knows no labels."""
