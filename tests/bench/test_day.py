"""What a day of a server comes to."""

from bench.day import table


def test_a_figure_that_keeps_growing_is_named() -> None:
    """What went up while everything warmed up, or goes up and down, is flat."""
    samples = [
        {"seconds": 10.0 * n, "open files": 40.0 + 5 * n, "threads": 10.0 + n % 3, "RSS (MB)": 150.0 - 60 * (n < 4)}
        for n in range(30)
    ]
    words = {line.split(" | ")[0]: line.split(" | ")[-1] for line in table(samples) if line.startswith("| ")}
    assert ("GROWN |", "flat |", "flat |") == (words["| open files"], words["| threads"], words["| RSS (MB)"])
