"""The version of the program; `workbench.__version__` is this."""

__version__ = "0.1.0"
