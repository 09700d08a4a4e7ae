"""The one exception that means the user can put it right."""


class InputError(ValueError):
    """Say in one line what is wrong with an input and what to do about it.

    The scripts print its message behind ``[ERROR]`` and exit with 1, without
    a traceback. Every other exception is a defect of ours and keeps its
    traceback.
    """
