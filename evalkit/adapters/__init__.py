"""Scorers that others wrote, behind the contract of a metric: torchmetrics, and any command."""
