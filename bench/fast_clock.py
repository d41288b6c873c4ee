"""``python -m bench.fast_clock FACTOR COMMAND…``: a command of ours, whose day passes so many times as fast.

Only the time of day is faster, from which runs, sessions, rules of retention, rollups and the schedule take theirs; what
waits, waits as long as ever.
"""

import sys
import time


def main() -> None:
    """Run the command that the arguments name."""
    factor, *arguments = sys.argv[1:]
    real, speed = time.time_ns, float(factor)
    began = real()
    time.time_ns = lambda: began + int((real() - began) * speed)
    sys.argv[1:] = arguments
    from execution_history.__main__ import main as command  # noqa: PLC0415 - with the clock as it is now

    command()


if __name__ == "__main__":
    main()
