"""``python -m execution_history`` is the command ``execution-history``."""

from execution_history.cli import main

if __name__ == "__main__":
    main()
