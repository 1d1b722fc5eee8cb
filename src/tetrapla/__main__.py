"""`python -m tetrapla` is `tetrapla`."""

from tetrapla.cli import main

if __name__ == "__main__":
    main(prog_name="tetrapla")
