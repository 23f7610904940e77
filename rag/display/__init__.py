"""Answers and passages as something to look at, in a page or a notebook. Judges nothing, loads nothing."""
