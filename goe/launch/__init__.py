"""Starting, adopting and stopping training processes."""
