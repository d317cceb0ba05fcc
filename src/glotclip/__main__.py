"""``python -m glotclip``: the command ``glotclip``, where its script is not on the path."""

from glotclip.cli.main import main

if __name__ == "__main__":
    main()
