"""Each prints figures and a ratio to something bare, measured in the same run."""
