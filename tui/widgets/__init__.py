"""One widget a file: data in, messages out; no widget opens a file."""
