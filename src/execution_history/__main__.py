"""``python -m execution_history`` and the command ``execution-history``: the command line in a process of its own."""

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line with the arguments of this process."""
    # What is imported is no garbage: looking for some takes a tenth of a short command. A command turns it on again.
    gc.disable()
    from execution_history.cli import main as call  # noqa: PLC0415 - see above

    call()


if __name__ == "__main__":
    main()
