"""Widgets of the screen: lines built by pure functions, repainted only where they changed."""
