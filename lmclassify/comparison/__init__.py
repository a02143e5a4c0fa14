"""`lmclassify benchmark`: baselines, runner, tables."""
