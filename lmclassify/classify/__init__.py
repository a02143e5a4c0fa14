"""Labels: the estimator that learns, the fitted model that decides, and how it is stored."""
