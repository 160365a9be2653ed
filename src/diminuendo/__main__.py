"""`python -m diminuendo`: the same as the command `diminuendo`."""

from diminuendo.cli import main

if __name__ == "__main__":
    main()
