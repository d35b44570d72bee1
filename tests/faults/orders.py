"""The widths by which the fragile resize knows what is expected of it."""

KILLING_WIDTH = 666
"""No worker survives it, as long as the file `deadly` is there."""
HANGING_WIDTH = 667
SLOW_WIDTH = 500
"""Takes as many seconds as the file `slow_s` says, or less once it says so."""
