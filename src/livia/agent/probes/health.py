"""What a row of checks makes of a member: HAProxy's counting (HAProxy manual, section 5.2, `rise` and `fall`)."""


class Health:
    """Up until `fall` checks in a row fail, then down until `rise` in a row succeed.

    A member that was never checked is up, and its first failure takes it down, as with HAProxy's servers.
    """

    __slots__ = ("_level", "fall", "rise")

    def __init__(self, rise: int, fall: int) -> None:
        self.rise = rise
        self.fall = fall
        #: below `rise`: down, with that many successes in a row; else up, and failures are still allowed
        self._level = rise

    @property
    def up(self) -> bool:
        """The verdict."""
        return self._level >= self.rise

    def settle(self, *, up: bool) -> None:
        """Take a verdict for certain: the counting begins anew."""
        self._level = self.rise + self.fall - 1 if up else 0

    def tune(self, rise: int, fall: int) -> None:
        """Count to other numbers from now on; the verdict stays."""
        if (rise, fall) != (self.rise, self.fall):
            up = self.up
            self.rise, self.fall = rise, fall
            self.settle(up=up)

    def take(self, *, success: bool) -> bool:
        """Count one check; True when the verdict changed."""
        before = self.up
        if success:
            self._level += 1
            if self._level >= self.rise and not before:
                self.settle(up=True)
            self._level = min(self._level, self.rise + self.fall - 1)
        elif self._level > self.rise:
            self._level -= 1
        else:
            self.settle(up=False)
        return self.up is not before

    def text(self) -> str:
        """One of the texts of contract 95, section 2.1: `UP`, `UP 1/3`, `DOWN`, `DOWN 1/2`."""
        if self.up:
            left = self._level - self.rise + 1
            return "UP" if left == self.fall else f"UP {left}/{self.fall}"
        return f"DOWN {self._level}/{self.rise}" if self._level else "DOWN"
