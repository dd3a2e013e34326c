mod backend;
mod codings;
mod grpc;
mod harness;
mod http;
mod limits;
mod passed;
mod stop;
