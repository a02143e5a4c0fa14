"""Files and arrays of saved models, atomic writing; knows no classifier."""
