"""What is said of the marks where type itself can be bold and underlined."""

MARKS = "Bold: best; underlined: second best."
