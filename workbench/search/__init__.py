"""Asking a collection: the query encoder and the searcher, each in its own process."""
