"""`python -m modelway_server`: what the image runs."""

from modelway_server.main import main

if __name__ == "__main__":
    main()
