"""Random and damaged input, for as long as it is let: `python -m tests.fuzz [--minutes 10] [--seed N]`."""
