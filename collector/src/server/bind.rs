//! Takes addresses, or says which is taken and what to do.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{address} is taken by another program; choose another address with {setting}")]
    Taken { address: SocketAddr, setting: &'static str },
    #[error("{address} is not for this user to listen on; choose a port from 1024 with {setting}")]
    Forbidden { address: SocketAddr, setting: &'static str },
    #[error("{address} is no address of this machine; choose another with {setting}")]
    NotHere { address: SocketAddr, setting: &'static str },
    #[error("cannot listen on {address}, which {setting} sets")]
    Other { address: SocketAddr, setting: &'static str, source: io::Error },
}

/// Listens on an address; `setting` says to people where it can be changed.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { address, setting },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address, setting },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address, setting },
        _ => BindError::Other { address, setting, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_the_address_and_the_remedy() {
        let first = bind(([127, 0, 0, 1], 0).into(), "--otlp").await.unwrap();
        let taken = first.local_addr().unwrap();
        let error = bind(taken, "--otlp").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{taken} is taken by another program; choose another address with --otlp")
        );
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        let error = bind(elsewhere, "[http] listen").await.unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.1:0 is no address of this machine; choose another with [http] listen");
    }
}
