"""Measuring: the shared board, samplers, recorder. Knows no screen."""
