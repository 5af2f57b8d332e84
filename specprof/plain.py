"""Foreign text made fit to print: models, prompts, captures and file names are not to be trusted.

Knows characters, not sinks: markup, HTML and spreadsheets have escapes of their own on top.
"""


def plain(text: str) -> str:
    r"""Return `text` on one line, whatever could steer a terminal written as `\x1b`, `\u202e`.

    That is every character Unicode calls unprintable: controls, line ends, direction overrides,
    lone surrogates.
    """
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
