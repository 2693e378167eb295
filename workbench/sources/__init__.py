"""Where documents come from: one file each, one small protocol."""
