"""What a command is asked to do, without a word printed."""
