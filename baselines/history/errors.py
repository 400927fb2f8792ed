"""The one error of a history that cannot be used."""


class HistoryError(RuntimeError):
    """The database cannot be used now: it is down, locked, full, damaged, or a package
    is missing. Nothing is lost by it, for the records stay in their run's folder."""
