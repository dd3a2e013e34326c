//! The SDK against an OTLP collector in the same process, judged as Spanseal's collector judges.

mod actions;
mod forging;
mod plain;
mod running;
mod sink;
