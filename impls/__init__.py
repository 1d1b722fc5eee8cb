"""The implementations, one folder per framework: HOW it is computed."""
