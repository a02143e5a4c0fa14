"""Learning from single texts: lessons, their weights, and their journal beside a saved model."""
