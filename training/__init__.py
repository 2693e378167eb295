"""The recipe of the default embedding model: ``python -m training --settings training/cpu.toml``."""
