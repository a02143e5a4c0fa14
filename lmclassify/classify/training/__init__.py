"""From labelled texts to a fitted model."""
