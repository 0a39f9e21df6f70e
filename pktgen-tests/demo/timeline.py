"""When what happened, and which requests that touches. Times are of the monotonic clock."""
import time

# From the rename of a manifest until its change is surely in force: a hundred times what it takes.
IN_FORCE = 0.25


class Timeline:
    def __init__(self):
        self.at = {}

    def mark(self, event):
        self.at[event] = time.monotonic()

    def between(self, first, last):
        return self.at[last] - self.at[first]

    def overlaps(self, request, first, last):
        """Was the request under way at any time from `first` until `last` was in force?"""
        return request.end >= self.at[first] and request.start <= self.at[last] + IN_FORCE

    def within(self, request, first, last):
        """Did the request begin after `first` was in force, and end before `last`?"""
        return request.start > self.at[first] + IN_FORCE and request.end < self.at[last]
