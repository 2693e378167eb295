"""The six rooms of the screen and its dialogs."""
