"""One module for each kind of component; ``registry`` finds them by their file names."""
