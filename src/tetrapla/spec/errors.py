"""The errors that tetrapla raises of its own accord."""


class InvalidInputError(ValueError):
    """What was given does not fit what is expected.

    The same type and the same message in every backend, raised before
    any framework is touched. The message names what was given and what
    is expected.
    """


class BackendUnavailableError(ImportError):
    """A backend is known but cannot be loaded here.

    The message names the extra to install, or the devices that are
    there.
    """


class UnsupportedError(InvalidInputError):
    """A library has no such optimizer or loss, and its backend says so.

    The message gives the reason, and the backends that have it.
    """
