"""What metrics on labels share: the set of labels, the predicted label, counts of pairs."""
