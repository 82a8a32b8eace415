"""The vocabulary every part shares: configuration, the run directory, its states and its tables. No torch here."""
