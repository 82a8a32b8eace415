"""How the dashboard calls goe's own command line, for work that must not be done in its process."""

import sys

GOE = (sys.executable, "-P", "-m", "cli")
"""To be followed by the words after `goe`. Without the present folder on the path, which may hold anything."""
