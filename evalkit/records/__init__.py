"""Reading and joining: from files to examples in order of id."""
