"""`python cli.py ...` from a checkout: the same program as `lmclassify ...`."""

from lmclassify.cli.main import main

if __name__ == "__main__":
    main()
