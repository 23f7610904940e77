"""Between this library and others: their documents and collections in, our passages and answers out, on their terms.

Each module imports its framework when it is imported itself; nothing here is loaded before it is asked for.
"""
