"""The one error for input that cannot be used: the command line turns it into exit code 2."""


class BadInputError(ValueError):
    """Names the file, the place, the value and what was expected instead."""
