"""One module per verb, imported when it is called."""
