"""Image sets as uint8 arrays, and how they become training batches."""
