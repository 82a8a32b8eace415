"""Training curves between file and screen: columns of numbers in, what a chart draws out. Nothing draws here."""
