"""One module per verb: from records and results to a result; no word of terminal in it."""
