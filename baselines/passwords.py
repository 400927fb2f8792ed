"""Text without the passwords of the URLs in it: what is printed and stored."""

import re

# user:password@, by the last @ of the word, and a password among the parameters.
_SECRETS = (
    (re.compile(r"(://[^:/@\s]*):\S*@"), r"\1:***@"),
    (re.compile(r"([?&][a-z]*password=)[^&\s]*", re.IGNORECASE), r"\1***"),
)


def without_password(text: str) -> str:
    """`text` with the passwords of all URLs in it hidden."""
    for secret, hidden in _SECRETS:
        text = secret.sub(hidden, text)
    return text
