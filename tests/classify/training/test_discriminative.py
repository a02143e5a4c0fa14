"""Which labels discriminative fine-tuning compares; the rest is tested with recipe tuned."""

import numpy as np

from lmclassify.classify.training.discriminative import labels_to_compare


def test_a_text_is_compared_under_its_label_and_the_likeliest_others():
    joint = np.array([[0.0, 3.0, 1.0, 2.0], [5.0, 0.0, 4.0, 1.0]])
    assert labels_to_compare(np.array([0, 2]), joint, 3).tolist() == [[0, 1, 3], [2, 0, 3]]
    assert labels_to_compare(np.array([0, 2]), joint).shape == (2, 4)
