"""What an error is called on the screen: place, finding and remedy, also where the system gives only a number."""

import errno
from pathlib import Path

from goe.core.logfile import clean_line

_REMEDIES = {
    errno.EROFS: "have its disk mounted for writing, or use a folder on another",
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room in your share of its disk",
    errno.EACCES: "check its owner and permissions",
    errno.EPERM: "check its owner and permissions",
    errno.ENOENT: "it may have been removed meanwhile",
    errno.ENOTDIR: "something that is no folder is in the way; move it",
    errno.EEXIST: "it is in the way; move it",
    errno.EISDIR: "a folder is in the way; move it",
}


def told(error: Exception, place: Path) -> str:
    """The error in words, `place` where it names none, without what a name could do to the terminal.

    goe's own errors stand as they are.
    """
    text = str(error)
    if isinstance(error, OSError):
        remedy = _REMEDIES.get(error.errno or 0, "see whether its disk is well")
        text = f"{error.filename or place}: {error.strerror or type(error).__name__}; {remedy}"
    return "\n".join(map(clean_line, text.split("\n")))
