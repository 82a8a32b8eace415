"""Generalized Outlier Exposure and its peers: training, evaluation and the runs they leave behind."""
