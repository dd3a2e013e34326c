"""A second implementation of docs/format.md: a verifier written from that page and event.proto alone."""
