//! Takes in OTLP over gRPC and HTTP, within limits, and answers once it is sealed.

mod json;
