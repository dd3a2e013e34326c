mod grpc;
mod harness;
mod http;
mod limits;
mod stop;
