"""Transfer learning with a headless network and a linear classifier."""
