"""Colours on a terminal, none in a pipe."""

import os
import sys

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_on = False


def choose(when):
    """`when`: always, never or auto: on a terminal, unless NO_COLOR is set (no-color.org)."""
    global _on
    _on = when == "always" or (when == "auto" and sys.stdout.isatty() and
                               not os.environ.get("NO_COLOR"))


def paint(text, colour):
    return f"\033[{_CODES[colour]}m{text}\033[0m" if _on else text


def size(count):
    """12.3 MiB"""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if value < 10240 or unit == "TiB":
            return f"{count:,} bytes" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1024
    return ""
