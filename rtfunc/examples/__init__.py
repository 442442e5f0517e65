"""Programs to run and to read: `python -m rtfunc.examples.digits`."""
