//! How a program says who acted: provenance for tracing and OpenTelemetry.
