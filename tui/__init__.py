"""The dashboard: reads run directories, never trains."""
