"""What screens read from disk, a reader a file; they run in the poller's thread, and nothing else opens files."""
