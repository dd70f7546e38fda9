"""A progress bar on standard error: how far, what now, how much longer. Without a terminal, a line
each round."""

import shutil
import sys
import time


class Progress:
    def __init__(self, total):
        self.total, self.done, self.begin = total, 0, time.monotonic()
        self.is_terminal = sys.stderr.isatty()
        # Seconds of each kind of step, as last seen: a step's length depends on its case.
        self.last, self.left = {}, []

    def plan(self, keys):
        """The steps in order, each with a key that says which steps take alike long."""
        self.left = list(keys)

    def seconds_left(self):
        known = sum(self.last.values()) / len(self.last) if self.last else 0.0
        return sum(self.last.get(key, known) for key in self.left)

    def show(self, what):
        if not self.is_terminal:
            return
        columns = shutil.get_terminal_size().columns
        share = self.done / self.total if self.total else 1.0
        bar = "█" * int(share * 24) + "░" * (24 - int(share * 24))
        left = time.strftime("%M:%S", time.gmtime(self.seconds_left()))
        if self.seconds_left() >= 3600:
            left = time.strftime("%H:%M:%S", time.gmtime(self.seconds_left()))
        text = f"{bar} {share:4.0%}  {left} left  {what}" if self.last else f"{bar}  {what}"
        sys.stderr.write(f"\r\x1b[2K{text[:columns - 1]}")
        sys.stderr.flush()

    def step(self, key, seconds):
        self.done += 1
        self.last[key] = seconds
        if self.left:
            self.left.pop(0)

    def say(self, text):
        """A line that stays."""
        if self.is_terminal:
            sys.stderr.write("\r\x1b[2K")
        print(text, file=sys.stderr, flush=True)

    def round_done(self, number, rounds):
        if not self.is_terminal:
            passed, left = time.monotonic() - self.begin, self.seconds_left()
            self.say(f"round {number} of {rounds}: {passed:.0f} s, {left:.0f} s left")

    def end(self):
        if self.is_terminal:
            sys.stderr.write("\r\x1b[2K")
