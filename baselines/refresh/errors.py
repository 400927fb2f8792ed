"""What stops a refresh."""


class RefreshError(RuntimeError):
    """Nothing was stored; the message says why, a reason a line."""
