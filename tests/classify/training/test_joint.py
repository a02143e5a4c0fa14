"""The joint phase: which labels are compared, and scores of labels that the LSTMs did not score."""

import numpy as np

from lmclassify.classify.training.joint import Validation, fill_unscored, labels_to_compare, likeliest


def test_a_text_is_compared_between_its_label_and_the_likeliest_others():
    joint = np.log([[0.1, 0.4, 0.2, 0.3], [0.5, 0.1, 0.3, 0.1]])
    assert labels_to_compare(np.array([0, 2]), joint, 3).tolist() == [[0, 1, 3], [2, 0, 1]]
    assert labels_to_compare(np.array([0, 2]), joint[:, :3], 6).shape == (2, 3)


def test_the_likeliest_labels_are_scored():
    joint = np.log([[0.1, 0.4, 0.2, 0.3]])
    assert likeliest(joint, 2).tolist() == [[False, True, False, True]]
    assert likeliest(joint, 9).all()


def test_unscored_labels_follow_the_ngram_experts():
    """Scored: joint 0 and -1, scores -10 and -12, so one nat of the joint is worth two of the score."""
    joint = np.array([[0.0, -1.0, -3.0]])
    scores = np.array([[-10.0, -12.0, 0.0]])
    scored = np.array([[True, True, False]])
    # Means over the scored labels: joint -0.5, scores -11; the third label is 2.5 nats below the mean.
    np.testing.assert_allclose(fill_unscored(scores, scored, joint), [[-10.0, -12.0, -16.0]])


def test_scores_that_contradict_the_ngram_experts_do_not_extrapolate():
    scored = np.array([[True, True, False]])
    filled = fill_unscored(np.array([[-12.0, -10.0, 0.0]]), scored, np.array([[0.0, -1.0, -3.0]]))
    np.testing.assert_allclose(filled, [[-12.0, -10.0, -11.0]])


def test_the_loss_is_never_worse_than_that_of_the_ngram_experts():
    joint = np.log([[0.8, 0.2], [0.3, 0.7]])
    validation = Validation([], np.array([0, 1]), joint)
    assert np.isclose(validation.ngram_loss, -np.log([0.8, 0.7]).mean())
    assert validation.loss(np.array([[-9.0, 0.0], [0.0, -9.0]])) == validation.ngram_loss
    assert validation.loss(np.array([[0.0, -9.0], [-9.0, 0.0]])) < validation.ngram_loss
