"""One module per stage; each has a function of its own name, from documents to the summary that is committed."""
