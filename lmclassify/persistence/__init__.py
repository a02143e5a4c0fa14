"""Files and arrays of saved models; knows no classifier."""
