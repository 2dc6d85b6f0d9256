"""The parts of `compare`: what pairs, what is contrasted, what is said of it."""
