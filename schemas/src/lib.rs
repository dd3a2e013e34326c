//! What an event and an attribute say: protobuf, attribute names, the OTLP scanner.
