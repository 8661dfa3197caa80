"""Programs that measure: each prints figures, most beside something bare that is measured in the same run."""
