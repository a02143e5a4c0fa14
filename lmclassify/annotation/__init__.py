"""People label, check and correct texts, in the browser; a model chooses which texts they see."""
