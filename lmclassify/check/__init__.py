"""Checks of labelled texts before training: wrong labels, duplicates, leakage into test files, bad texts."""
