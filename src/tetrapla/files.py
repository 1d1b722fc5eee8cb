"""Files that are either written whole or not at all."""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, replacing what is there in one step.

    A reader sees the old file or the new one, and so does whoever comes
    after a crash: the content goes to a temporary file in the same folder,
    is forced to the disk and then takes the place of `path`. The mode of a
    file that was there is kept. What is not a regular file (a pipe,
    /dev/stdout) cannot be replaced and is written to directly.

    Raises
    ------
    OSError
        If the folder is missing, full or not writable; `path` is then as
        it was, and the temporary file is gone.
    """
    if Path(path).exists() and not Path(path).is_file():
        Path(path).write_bytes(content)
        return
    target = Path(path).resolve()  # a link stays a link
    temporary = target.with_name(f".{target.name}-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:  # not mkstemp: its mode ignores the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # Windows opens no folders
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, not just the content
        finally:
            os.close(folder)
