"""What several text metrics share."""
