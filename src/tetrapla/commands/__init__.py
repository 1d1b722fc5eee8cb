"""The commands of `tetrapla`, a module each (cli.py imports them lazily)."""
