"""Claims that hold on every version of HTTP alike, tried over each."""
