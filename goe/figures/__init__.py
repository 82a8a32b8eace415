"""Pictures: what they are made of, without torch, and how they are drawn to a file."""
