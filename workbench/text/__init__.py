"""Text to tokens: slicing by offset, cutting documents into chunks, tokenising, packing."""
